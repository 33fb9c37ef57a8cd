"""The shape of the package: imports run one way, papers keep to themselves, `import` is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import itemlm
from itemlm import papers

ROOT = Path(itemlm.__file__).parent

# Every room may import from the rooms named after it, and from itself.
MAY_IMPORT = {
    "types": "",
    "config": "types",
    "order": "types",
    "sparse": "types order",
    "data": "types config order",
    "text": "types data",
    "evaluation": "types order data sparse text",
    "recommender": "types config data",
    "nn": "types sample",
    "encode": "types data sparse text lm",
    "tokenize": "types config order sparse data text encode nn",
    "sample": "types data text",
    "lm": "types config text sample nn objectives",
    "objectives": "types nn sample",
    "train": "types data evaluation sample objectives",
    "retrieve": "types order data text recommender nn lm sample tokenize",
    "papers": "types config order sparse data text recommender nn lm encode tokenize sample "
    "objectives train retrieve",
    "fitting": "types config data recommender train papers",
    "comparison": "types data evaluation recommender papers fitting",
    "policy": "types data evaluation",
    "bulk": "types data recommender",
    # Papers are reached through `fitting` alone: a service is over whatever was saved.
    "serve": "types data text recommender encode retrieve fitting",
    "client": "types serve",
    "cli": "types config data text evaluation recommender encode tokenize train papers fitting "
    "comparison policy serve bulk",
    "__main__": "cli",
}


def imports(path):
    """Every module of ours that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("itemlm"):
            if node.module == "itemlm":
                yield from (f"itemlm.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("itemlm."))


FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    allowed = {room, *MAY_IMPORT[room].split()}
    if room == "cli":
        allowed |= set(itemlm.__all__) | {"__version__"}
    for module in imports(path):
        target = module.split(".")[1]
        assert target in allowed or target == "__version__", f"{room} may not import {module}"


def paper_files():
    """Every file of the papers' shelves, as a module path."""
    files = (ROOT / "papers").glob("*/*.py")
    return {
        ".".join(("itemlm", *path.relative_to(ROOT).with_suffix("").parts)): path
        for path in files
        if path.name != "__init__.py"
    }


def test_the_table_of_papers_is_the_folder_of_papers():
    assert set(papers.TABLE.values()) == set(paper_files())
    assert list(papers.TABLE) == [path.rpartition(".")[2] for path in papers.TABLE.values()]


@pytest.mark.parametrize("module", sorted(paper_files()))
def test_a_paper_says_what_it_is(module):
    path = paper_files()[module]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstring = ast.get_docstring(tree)
    for heading in ("The idea", "Departures", "Measured", "Shapes"):
        assert f"\n{heading} " in docstring, f"{module} lacks the heading '{heading}'"
    assert f"docs/papers/{path.stem}.md" in docstring
    defined = {n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    assert {"Config", "fit", "restore"} <= defined
    others = [m for m in imports(path) if m in paper_files()]
    assert len(others) <= 1, "a paper imports at most one other paper"


def run(code):
    """Python code in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


HEAVY = ("torch", "sklearn", "matplotlib", "pandas", "scipy", "polars", "pydantic", "fastapi")


def test_importing_itemlm_is_light():
    loaded = f"[m for m in {HEAVY} if m in sys.modules]"
    assert run(f"import itemlm, sys; print({loaded})") == "[]"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("itemlm.serve.schemas", ("numpy", "polars", "fastapi", "torch")),
        ("itemlm.client", ("polars", "fastapi", "torch")),
        ("itemlm.serve.app", ("torch", "sklearn", "matplotlib", "pandas", "tantivy", "faiss")),
    ],
)
def test_the_parts_of_the_service_bring_in_what_they_need_alone(module, absent):
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    loaded = f"[m for m in {absent} if m in sys.modules]"
    assert run(f"import {module}, sys; print({loaded})") == "[]"


def test_the_front_door_opens_on_everything_it_names():
    assert set(itemlm.__all__) == set(itemlm._HOMES)
    for name in itemlm.__all__:
        assert getattr(itemlm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = itemlm.nonsense


def test_what_is_not_in_the_core_is_not_needed():
    code = """
import sys
for absent in ("torch", "scipy", "sklearn", "pandas"):
    sys.modules[absent] = None  # as if it were not installed
import itemlm
world = itemlm.world(users=60, items=40)
print(itemlm.compare(["popularity", "itemknn", "ease"], world.dataset)["ease"]["N@10"].mean > 0)
from itemlm.encode.lsa import LSA
from itemlm.text.describe import describe
print(len(LSA(width=4).encode(describe(world.dataset))))
try:
    itemlm.fit("sasrec", world.dataset)
except itemlm.ItemlmError as error:
    print(error)
"""
    assert run(code).splitlines() == [
        "True",
        "40",
        "'sasrec' needs an optional part. Run: pip install 'itemlm[torch]'",
    ]
