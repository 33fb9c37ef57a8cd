"""Reference pages, written from the code while MkDocs builds the site.

Python is parsed, not imported, so that the pages need neither PyTorch nor any extra. A module's
docstring is shown as it stands, because its columns carry meaning; the docstrings of functions and
classes are Markdown, but for their sections ("Args:", "Raises:"), which become lists.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PACKAGE = Path(__file__).parents[1] / "itemlm"
FOLDERS = (
    *("data", "text", "encode", "tokenize", "sample", "objectives", "nn", "lm", "train"),
    *("retrieve", "evaluation"),
)
SECTIONS = ("Args", "Attributes", "Returns", "Raises")
WIDTH = 88  # of a signature on one line
Definition = ast.FunctionDef | ast.ClassDef


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the site; MkDocs calls this."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Keep a figure and its interval on one line; MkDocs calls this for each page."""
    joined = re.sub(r"(?<=\d) ± (?=[.\d])", "\u00a0±\u00a0", markdown)
    return re.sub(r"(?<=\d) (\[[+−.\d]+,) (?=[+−.\d]+\])", "\u00a0\\1\u00a0", joined)


def pages() -> dict[str, str]:
    """Every page: its path under docs/, and its Markdown."""
    return {
        "reference/command-line.md": command_line(),
        "reference/settings.md": settings(),
        "reference/front-door.md": front_door(),
        **{f"reference/{folder}.md": parts(folder) for folder in FOLDERS},
    }


def command_line() -> str:
    """The help of every command, as typer writes it."""
    command = [sys.executable, "-m", "typer", "itemlm.cli", "utils", "docs"]
    command += ["--name", "itemlm", "--title", "Command line"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def settings() -> str:
    """A table of the settings of every paper."""
    from itemlm import papers
    from itemlm.cli.paper_source import read

    lines = [
        "# Settings of the papers",
        "In Python `itemlm.fit(paper, data, name=value)`, in a terminal `--set name=value`. The "
        "column *published* gives the authors' value where it is another.",
    ]
    for name in papers.TABLE:
        rows = ["| setting | default | published | type | meaning |", "|---|---|---|---|---|"]
        for s in read(name).settings:
            published = f"`{s.published}`" if s.published else ""
            rows.append(f"| `{s.name}` | `{s.default}` | {published} | `{s.kind}` | {s.meaning} |")
        lines += [f"## {name}", f"See [its page](../papers/{name}.md).", "\n".join(rows)]
    return "\n\n".join(lines) + "\n"


def front_door() -> str:
    """Every name that `import itemlm` gives."""
    import itemlm

    lines = ["# Front door", "Everything that `import itemlm` gives."]
    for name in itemlm.__all__:
        module, definition = _find(itemlm._HOMES[name], name)
        lines += _definition(definition, level=2, home=module)
    return "\n\n".join(lines) + "\n"


def parts(folder: str) -> str:
    """The public classes and functions of one folder of the package."""
    package = ast.parse((PACKAGE / folder / "__init__.py").read_text(encoding="utf-8"))
    lines = [f"# itemlm.{folder}", _as_it_stands(ast.get_docstring(package))]
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        module = path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")
        module = module.removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        public = list(_public(tree))
        if public:
            lines.append(f"## {module}")
            if path.name != "__init__.py" or module.count(".") > 1:
                lines.append(_as_it_stands(ast.get_docstring(tree)))
        for definition in public:
            lines += _definition(definition, level=3)
    return "\n\n".join(line for line in lines if line) + "\n"


def _find(module: str, name: str) -> tuple[str, Definition]:
    """Where a name is defined; a package may only pass it on."""
    path = PACKAGE.parent / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, Definition) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return _find(str(node.module), name)
    raise LookupError(f"{module} has no {name}")


def _public(body: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Public definitions that say something of themselves."""
    for node in body.body:
        if (
            isinstance(node, Definition)
            and not node.name.startswith("_")
            and ast.get_docstring(node)
        ):
            yield node


def _definition(node: Definition, level: int, home: str = "", owner: str = "") -> list[str]:
    """Heading, signature, docstring and, for a class, its methods."""
    lines = [f"{'#' * level} {owner}{node.name}"]
    if home:
        lines.append(f"From `{home}`.")
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    if "property" not in decorators and "cached_property" not in decorators:
        lines.append(f"```python\n{_signature(node)}\n```")
    lines.append(_markdown(ast.get_docstring(node) or ""))
    if isinstance(node, ast.ClassDef):
        for method in _public(node):
            lines += _definition(method, level + 1, owner=f"{node.name}.")
    return lines


def _signature(node: Definition) -> str:
    """`name(first: int, second: str = "x") -> bool`, on several lines where it is long."""
    if isinstance(node, ast.ClassDef):
        makers = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        parameters, result = _parameters(makers[0]) if makers else _fields(node), ""
    else:
        parameters = _parameters(node)
        result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"{node.name}({', '.join(parameters)}){result}"
    if len(line) <= WIDTH:
        return line
    return f"{node.name}(\n" + "".join(f"    {one},\n" for one in parameters) + f"){result}"


def _parameters(node: ast.FunctionDef) -> list[str]:
    given = node.args
    places = [*given.posonlyargs, *given.args]
    without = len(places) - len(given.defaults)
    shown = [
        _parameter(place, given.defaults[n - without] if n >= without else None)
        for n, place in enumerate(places)
        if place.arg not in ("self", "cls")
    ]
    if given.vararg:
        shown.append(f"*{_parameter(given.vararg, None)}")
    elif given.kwonlyargs:
        shown.append("*")
    shown += map(_parameter, given.kwonlyargs, given.kw_defaults)
    return [*shown, *([f"**{_parameter(given.kwarg, None)}"] if given.kwarg else [])]


def _parameter(place: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(place.annotation)}" if place.annotation else ""
    return f"{place.arg}{kind}" + (f" = {ast.unparse(default)}" if default else "")


def _fields(node: ast.ClassDef) -> list[str]:
    """The fields of a dataclass."""
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return []
    fields = [field for field in node.body if isinstance(field, ast.AnnAssign)]
    return [ast.unparse(field) for field in fields if "ClassVar" not in ast.unparse(field)]


def _markdown(docstring: str) -> str:
    """A docstring whose sections are lists."""
    heading = re.compile(rf"^({'|'.join(SECTIONS)}):\n((?:(?:    .*)?\n)*)", re.MULTILINE)

    def section(match: re.Match[str]) -> str:
        body = inspect.cleandoc(match[2])
        entries = [" ".join(entry.split()) for entry in re.split(r"\n(?=\S)", body)]
        if match[1] == "Returns":
            return f"**Returns** {' '.join(entries)}\n\n"
        named = [re.sub(r"^([\w*., ]+): ", r"`\1`: ", entry) for entry in entries if entry]
        return f"**{match[1]}**\n\n" + "".join(f"- {entry}\n" for entry in named) + "\n"

    return heading.sub(section, docstring + "\n").strip()


def _as_it_stands(docstring: str | None) -> str:
    return f"```text\n{docstring}\n```" if docstring else ""
