"""`itemlm tokenize`: Semantic IDs from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from itemlm.data.dataset import Dataset
from itemlm.tokenize.tokens import ItemTokens


@pytest.fixture(scope="session")
def tokens(itemlm, data, tmp_path_factory):
    """Semantic IDs of the small catalog."""
    folder = tmp_path_factory.mktemp("tokens") / "tokens"
    itemlm("tokenize", "fit", data, "--levels", "2", "--codes", "8", "--out", folder)
    return folder


def test_fit_saves_unique_ids(data, tokens):
    saved = ItemTokens.load(tokens)
    assert len(saved) == len(Dataset.load(data).items)
    assert saved.levels[:2] == (8, 8)


def test_fit_reports_their_quality(itemlm, itemlm_json, data):
    small = ("tokenize", "fit", data, "--levels", "2", "--codes", "8", "--out", "x")
    shown = itemlm(*small)
    assert "perplexity" in shown.stdout
    assert f"itemlm tokenize browse x --data {data}" in shown.stderr
    meaningful = itemlm_json(*small)
    random = itemlm_json(*small, "--tokenizer", "random")
    # Near items share their first code more often if codes have a meaning.
    assert meaningful["agreement"][0] > 2 * random["agreement"][0]


def test_an_unknown_tokenizer_gets_the_nearest(itemlm, data):
    fit = ("tokenize", "fit", data, "--tokenizer", "rq-vae", "--out", "x")
    assert "Did you mean 'rqvae'?" in itemlm(*fit, exit_code=1).stderr


def test_tokenizers_are_compared(itemlm, itemlm_json, data):
    named = ("random", "independent", "title", "collaborative+independent")
    words = [word for name in named for word in ("--tokenizer", name)]
    compare = ("tokenize", "compare", data, "--levels", "2", "--codes", "8", *words)
    shown = itemlm(*compare)
    assert all(name in shown.stdout for name in named)
    assert "halve the catalog" in shown.stdout
    found = itemlm_json(*compare)
    assert list(found) == list(named)
    assert found["independent"]["levels"] == [80]
    # Clusters of what is taken together lead further than chance, to what was taken next as well.
    next_by = {name: found[name]["halvings"]["following"] for name in named}
    assert next_by["collaborative+independent"] > next_by["random"]


def test_what_cannot_be_tokenized_is_told_and_the_others_are_compared(itemlm, itemlm_json):
    rows = [f"u{user},i{(user + step) % 7},{step}" for user in range(9) for step in range(4)]
    Path("log.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    compare = ("tokenize", "compare", "log.csv", "--codes", "4")
    compare += ("--tokenizer", "semantic", "--tokenizer", "sequential_time")
    shown = itemlm(*compare)
    assert "semantic: the catalog has no column of categories" in shown.stderr
    assert "sequential_time" in shown.stdout
    found = itemlm_json(*compare)
    assert "no column of categories" in found["semantic"]["failed"]
    assert found["sequential_time"]["agreement"] is None  # there is no text either


def test_an_index_without_text_can_be_made(itemlm_json):
    Path("log.csv").write_text("user_id,item_id\n" + "\n".join(f"u{n % 3},i{n}" for n in range(9)))
    fit = ("tokenize", "fit", "log.csv", "--tokenizer", "collaborative", "--codes", "2")
    found = itemlm_json(*fit, "--out", "tokens")
    assert found["agreement"] is None
    assert found["company"] is not None
    assert len(ItemTokens.load("tokens")) == 9


def test_categories_can_be_named(itemlm, data):
    fit = ("tokenize", "fit", data, "--tokenizer", "semantic", "--out", "tokens")
    assert "Did you mean" in itemlm(*fit, "--categories", "genre", exit_code=1).stderr


def test_report_measures_saved_ids(itemlm_json, data, tokens):
    without = itemlm_json("tokenize", "report", tokens)
    assert without["agreement"] is None
    assert without["company"] is None
    with_data = itemlm_json("tokenize", "report", tokens, "--data", data)
    assert 0 < with_data["agreement"][0] <= 1
    assert 0 < with_data["company"][0] <= 1
    assert 0 < with_data["top_purity"][0] <= 1
    assert with_data["unique_prefixes"] == without["unique_prefixes"]


def test_browse_shows_titles_under_codes(itemlm, data, tokens):
    tree = itemlm("tokenize", "browse", tokens, "--data", data, "--limit", "80").stdout
    titles = Dataset.load(data).catalog["title"]
    assert sum(title in tree for title in titles) == len(titles)


def test_browse_starts_below_a_prefix(itemlm, data, tokens):
    codes = [int(code) for code in ItemTokens.load(tokens).codes_NL[0][:2]]
    prefix = ",".join(map(str, codes))
    tree = itemlm("tokenize", "browse", tokens, "--data", data, "--prefix", prefix, "--limit", 80)
    assert Dataset.load(data).catalog["title"][0] in tree.stdout
    assert len(tree.stdout.splitlines()) < 80


@pytest.mark.parametrize(
    ("more", "exit_code", "words"),
    [
        (("--prefix", "99"), 1, "no item has codes that begin with"),
        (("--prefix", "a"), 2, "is written like 12,7"),
        (("--depth", "-1"), 2, "--depth"),
    ],
)
def test_browse_explains_what_is_wrong(more, exit_code, words, itemlm, data, tokens):
    browse = ("tokenize", "browse", tokens, "--data", data)
    assert words in itemlm(*browse, *more, exit_code=exit_code).stderr


def test_the_ids_of_a_fitted_paper_can_be_browsed(itemlm, data, tmp_path):
    pytest.importorskip("torch")
    tiny = ("codes=8", "width=8", "blocks=1", "heads=1", "head_width=8", "inner=8", "epochs=1")
    settings = [word for setting in tiny for word in ("--set", setting)]
    itemlm("fit", "tiger", "--data", data, "--out", "run", *settings)
    assert "all" in itemlm("tokenize", "browse", "run", "--data", data).stdout


def test_another_catalog_is_refused(itemlm, tokens, tmp_path):
    (tmp_path / "log.csv").write_text("user,item\na,1\nb,2\n")
    result = itemlm("tokenize", "browse", tokens, "--data", "log.csv", exit_code=1)
    assert "of the 2 items of 'log', and 80 in all" in result.stderr
