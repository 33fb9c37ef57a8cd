"""What a reader is told is true: examples run, links lead somewhere, everything is documented."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from examples import PAGES, ROOT, blocks, commands, outputs

import itemlm
from itemlm import papers
from itemlm.cli import app
from itemlm.cli.paper_source import read
from itemlm.types import MissingExtra

DOCS = ROOT / "docs"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def named(page):
    """A page's name in the output of the tests."""
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def generated():
    """The reference pages, by their path under docs/."""
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


# --- Examples -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.kind == "python" for b in blocks(p))], ids=named
)
def test_python_examples_run_and_print_what_is_shown(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        for block, printed in outputs(page):
            assert printed.rstrip() == block.text.rstrip(), f"line {block.line} of {named(page)}"
    except MissingExtra as error:
        pytest.skip(str(error))


def test_the_readme_shows_an_output():
    assert any("prints" in block.comments for block in blocks(ROOT / "README.md"))


def leaf_commands(command, path=()):
    """Every command that does something, by the words that call it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return {path: command}
    found = {}
    for name, child in inner.items():
        found |= leaf_commands(child, (*path, name))
    return found


COMMANDS = leaf_commands(typer.main.get_command(app))


def parse(words):
    """Parse a command line as `itemlm` would, without running it."""
    for length in (1, 2):
        if tuple(words[:length]) in COMMANDS:
            command = COMMANDS[tuple(words[:length])]
            command.make_context(" ".join(words[:length]), words[length:])
            return
    if words != ["--help"]:
        raise LookupError(f"there is no command 'itemlm {' '.join(words)}'")


ITEMLM_LINES = [
    (page, line, words) for page in PAGES for line, words in commands(page) if words[0] == "itemlm"
]


@pytest.mark.parametrize(
    ("page", "line", "words"),
    ITEMLM_LINES,
    ids=[f"{named(p)}: {line}" for p, line, _ in ITEMLM_LINES],
)
def test_command_lines_can_be_parsed(page, line, words):
    parse(words[1:])


def test_a_wrong_command_line_would_be_noticed():
    with pytest.raises(LookupError):
        parse(["fitt", "sasrec"])
    with pytest.raises(Exception, match="No such option"):
        parse(["fit", "sasrec", "--data", "demo", "--epochs", "3"])


def test_settings_on_command_lines_exist():
    for page, line, words in ITEMLM_LINES:
        for pair in [words[n + 1] for n, word in enumerate(words) if word == "--set"]:
            key = pair.partition("=")[0]
            name, _, setting = key.rpartition(".")
            paper = name.partition(":")[0] or words[2]
            known = [s.name for s in read(paper).settings]
            assert setting in known, f"{named(page)}: {line}"


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for line, words in commands(page):
            if words[0] == "make" and len(words) > 1:
                assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), f"{named(page)}: {line}"


# --- The worked paper of CONTRIBUTING.md --------------------------------------------------------


def the_worked_paper():
    """Its name and its code."""
    (block,) = [block for block in blocks(ROOT / "CONTRIBUTING.md") if block.file]
    return block.file.removesuffix(".py"), block.text


def test_the_worked_paper_has_60_lines_at_most():
    _, code = the_worked_paper()
    assert 30 < len([line for line in code.splitlines() if line]) <= 60


def test_the_worked_paper_keeps_the_contract(tmp_path):
    name, code = the_worked_paper()
    (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    (tmp_path / "add_row.py").write_text(
        f"from itemlm import papers\npapers.TABLE['{name}'] = '{name}'\n", encoding="utf-8"
    )
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "tests/contract", "-k", name, "-p", "add_row"),
            *("-p", "no:cacheprovider"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_worked_paper_is_in_style(tmp_path):
    name, code = the_worked_paper()
    path = tmp_path / f"{name}.py"
    path.write_text(code, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    style = ["--no-cache", "--config", str(ROOT / "pyproject.toml"), str(path)]
    for how in (["check"], ["format", "--check"]):
        run = subprocess.run([*ruff, *how, *style], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr


# --- Everything is documented -------------------------------------------------------------------


@pytest.mark.parametrize("name", papers.TABLE)
def test_every_paper_has_a_page(name):
    page = read(name).page
    assert page == f"docs/papers/{name}.md"
    text = (ROOT / page).read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[:5] == ["The idea", "Departures", "Settings", "Published", "Measured"]
    assert f"]({name}.md)" in (DOCS / "papers" / "index.md").read_text(encoding="utf-8")
    assert any("itemlm compare" in line and name in words for line, words in commands(ROOT / page))


@pytest.mark.parametrize("name", papers.TABLE)
def test_every_setting_says_what_it_means(name, generated):
    silent = [setting.name for setting in read(name).settings if not setting.meaning]
    assert not silent, f"give these fields of {name}'s Config a comment: {', '.join(silent)}"
    for setting in read(name).settings:
        assert f"| `{setting.name}` |" in generated["reference/settings.md"]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_explained(words, generated):
    call = f"itemlm {' '.join(words)}"
    assert f"`{call}`" in generated["reference/command-line.md"]
    assert any(call in page.read_text(encoding="utf-8") for page in PAGES), f"no guide shows {call}"


def test_the_front_door_is_in_the_reference(generated):
    for name in itemlm.__all__:
        assert f"\n## {name}\n" in generated["reference/front-door.md"]


def test_the_version_is_the_same_everywhere():
    assert f"## [{itemlm.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {itemlm.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


# --- Links and navigation -----------------------------------------------------------------------


def anchors(text):
    """The anchors of a page's headings, as Python-Markdown makes them."""
    found = []
    for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
        found.append(re.sub(r"[-\s]+", "-", plain))
    return found


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=named)
def test_internal_links_lead_somewhere(page, generated):
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        inside = there.relative_to(DOCS).as_posix() if there.is_relative_to(DOCS) else None
        if inside in generated:
            content = generated[inside]
        else:
            assert there.exists(), f"{named(page)} links to {target}, which is not there"
            content = there.read_text(encoding="utf-8") if there.suffix == ".md" else ""
        if anchor:
            assert anchor in anchors(content), f"{named(page)} links to {target}: no such heading"


def test_navigation_and_files_agree(generated):
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r"[\w/.-]+\.md", nav)
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(listed) == sorted(written | set(generated))


def test_pictures_are_small():
    pictures = list((DOCS / "images").iterdir())
    assert pictures
    assert all(picture.stat().st_size < 300_000 for picture in pictures)


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra 'docs'")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert Path(tmp_path / "site" / "reference" / "settings.html").exists()


# --- Performance ----------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["harness", "serving"])
def test_the_performance_pages_are_what_the_results_say(of):
    check = [sys.executable, str(ROOT / "bench" / of / "page.py"), "--check"]
    run = subprocess.run(check, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_every_figure_has_been_measured():
    results = ROOT / "bench" / "results"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (figures,) = re.findall(r"^FIGURES := (.*)$", makefile, re.MULTILINE)
    races = {path.stem for path in results.glob("*.json")} - {"serving"}
    assert sorted(races) == sorted(figures.split())
    (serving,) = re.findall(r"^SERVING := (.*)$", makefile, re.MULTILINE)
    measured = json.loads((results / "serving.json").read_text(encoding="utf-8"))
    assert sorted(row["name"] for row in measured["figures"]) == sorted(serving.split())
