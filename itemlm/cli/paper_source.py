"""What a paper says of itself, read from its source without importing it.

So `itemlm papers` needs no PyTorch and answers at once. The docstring gives the idea, `Config` the
settings: their meaning stands in a comment behind the field or under "Attributes:".
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from itemlm import papers
from itemlm.types import UnknownName

ROOT = Path(papers.__file__).parent.parent  # of the package


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One field of a paper's Config.

    Attributes:
        name: as in `--set name=value`.
        kind: its type, as written.
        default: our value, as written.
        published: the authors' value where it is another.
        meaning: in words.
    """

    name: str
    kind: str
    default: str
    published: str | None
    meaning: str


@dataclass(frozen=True, kw_only=True)
class PaperSource:
    """A paper's own words.

    Attributes:
        name: in the table of papers.
        text: the module's docstring.
        needs_torch: whether importing it imports PyTorch.
        settings: in the order of the file.
    """

    name: str
    text: str
    needs_torch: bool
    settings: tuple[Setting, ...]

    @property
    def idea(self) -> str:
        """The first line."""
        return self.text.partition("\n")[0]

    @property
    def page(self) -> str | None:
        """Where its measured figures stand."""
        found = re.search(r"^Measured +(\S+)", self.text, re.MULTILINE)
        return found[1] if found else None


def read(name: str) -> PaperSource:
    """Read a paper's source.

    Raises:
        UnknownName: if there is no such paper.
    """
    if name not in papers.names():
        raise UnknownName("paper", name, papers.names())
    spec = find_spec(papers.TABLE[name]) if name in papers.TABLE else papers.get(name).__spec__
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return PaperSource(
        name=name,
        text=ast.get_docstring(tree) or "",
        needs_torch=any(_needs_torch(name) for name in _imported(tree)),
        settings=_settings(path, "Config"),
    )


def _settings(path: Path, class_name: str) -> tuple[Setting, ...]:
    """The fields of a dataclass of settings, those of the class that it extends first."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    config = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name
    )
    meanings = {**_attributes(ast.get_docstring(config) or ""), **_comments(source, config)}
    own = [
        Setting(
            name=name,
            kind=ast.unparse(field.annotation),
            default="" if field.value is None else ast.unparse(field.value),
            published=None,
            meaning=meanings.get(name, ""),
        )
        for name, field in _fields(config)
    ]
    inherited = [setting for base in config.bases for setting in _settings(*_found(tree, base))]
    published = _published(config)
    theirs = [published.get(setting.name, setting.default) for setting in (*inherited, *own)]
    return tuple(
        replace(setting, published=None if value == setting.default else value)
        for setting, value in zip((*inherited, *own), theirs, strict=True)
    )


def _found(tree: ast.Module, base: ast.expr) -> tuple[Path, str]:
    """The file and the name of a class that a Config extends: `Name`, or `module.Name`."""
    module, _, class_name = ast.unparse(base).rpartition(".")
    wanted = module or class_name
    package = next(
        node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and wanted in (alias.name for alias in node.names)
    )
    assert package is not None
    _, *rest = package.split(".")
    return ROOT.joinpath(*rest, module).with_suffix(".py"), class_name


@cache
def _needs_torch(module: str) -> bool:
    """Whether importing a module imports PyTorch, itself or by another module of ours."""
    package, *rest = module.split(".")
    file = ROOT.joinpath(*rest).with_suffix(".py")
    if package != "itemlm" or not file.exists():
        return package == "torch"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return any(_needs_torch(name) for name in _imported(tree))


def _imported(tree: ast.Module) -> Iterator[str]:
    """The modules that a module imports when it is imported itself; some names are no modules."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module.startswith("itemlm.papers"):  # a paper that this one changes
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _fields(config: ast.ClassDef) -> Iterator[tuple[str, ast.AnnAssign]]:
    for node in config.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node


def _comments(source: str, config: ast.ClassDef) -> dict[str, str]:
    """The comment behind each field."""
    lines = io.StringIO(source).readline
    comment_at = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(lines)
        if token.type == tokenize.COMMENT
    }
    return {
        name: comment_at[field.end_lineno]
        for name, field in _fields(config)
        if field.end_lineno in comment_at
    }


def _attributes(docstring: str) -> dict[str, str]:
    """What stands under "Attributes:": `name, other: meaning`, continued on deeper lines."""
    section = inspect.cleandoc(docstring).partition("Attributes:\n")[2]
    entries = re.findall(r"^ {4}(\w[\w, ]*): (.+(?:\n {5,}.+)*)", section, re.MULTILINE)
    return {
        name.strip(): " ".join(meaning.split())
        for names, meaning in entries
        for name in names.split(",")
    }


def _published(config: ast.ClassDef) -> dict[str, str]:
    """What `as_published` changes, from its `return cls(name=value, ...)`."""
    for method in config.body:
        if isinstance(method, ast.FunctionDef) and method.name == "as_published":
            calls = (node.value for node in ast.walk(method) if isinstance(node, ast.Return))
            call = next(calls, None)
            if isinstance(call, ast.Call):
                return {word.arg: ast.unparse(word.value) for word in call.keywords if word.arg}
    return {}
