"""The contract: what every paper's recommender keeps, whatever its family.

A new paper joins by being in the table of papers; where its default is too large for a test, it
gets small settings below.
"""

import json
import math

import numpy as np
import polars as pl
import pytest

import itemlm
from itemlm import papers
from itemlm.fitting import configured, learns_by_epochs
from itemlm.recommender import Catalog
from itemlm.retrieve.live import Live
from itemlm.types import (
    ArtifactError,
    ConfigError,
    DataError,
    ItemlmWarning,
    Query,
    QueryBatch,
    UnknownName,
)

# A checkerboard: even users only take even items, odd users odd ones, walking round a circle, so
# that the right answers are known: items of one's own color, the next one first.
ITEMS, USERS, LENGTH = 24, 240, 8

SMALL = {
    "p5": {
        "sequential": 4,
        "direct": 0,
        "answers": 8,
        "hidden": 0.9,
        "length": 8,
        "width": 32,
        "blocks": 1,
        "heads": 2,
        "inner": 64,
        "vocabulary": 600,
        "dropout": 0.0,
        "validate_every": 8,
        "batch_size": 32,
        "learning_rate": 8e-3,
        "epochs": 8,
    },
    "how_to_index": {
        "codes": 6,
        "sequential": 3,
        "direct": 0,
        "answers": 8,
        "hidden": 0.9,
        "length": 8,
        "width": 32,
        "blocks": 1,
        "heads": 2,
        "inner": 64,
        "vocabulary": 600,
        "dropout": 0.0,
        "validate_every": 8,
        "batch_size": 32,
        "learning_rate": 8e-3,
        "epochs": 6,
    },
    "elmrec": {
        "sequential": 3,
        "direct": 0,
        "answers": 8,
        "hidden": 0.9,
        "length": 8,
        "width": 32,
        "blocks": 1,
        "heads": 2,
        "inner": 64,
        "vocabulary": 600,
        "dropout": 0.0,
        "validate_every": 8,
        "batch_size": 32,
        "learning_rate": 8e-3,
        "epochs": 8,
    },
    "setrec": {
        "semantic": 2,
        "hidden": (32,),
        "collaborative_width": 16,
        "collaborative_epochs": 6,
        "length": 8,
        "width": 32,
        "head_width": 16,
        "inner": 64,
        "dropout": 0.1,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "epochs": 6,
    },
    "recgpt": {
        "levels": 2,
        "codes": 64,
        "width": 32,
        "blocks": 2,
        "head_width": 16,
        "inner": 64,
        "dropout": 0.1,
        "length": 8,
        "beams": 12,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "epochs": 8,
    },
    "duet": {
        "levels": 2,
        "codes": 6,
        "width": 32,
        "inner": 64,
        "dropout": 0.1,
        "length": 8,
        "candidates": 12,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "epochs": 10,
    },
    "sasrec": {
        "length": 8,
        "epochs": 10,
        "width": 32,
        "batch_size": 16,
        "dropout": 0.1,
        "learning_rate": 5e-3,
    },
    "tiger": {
        "levels": 2,
        "codes": 6,
        "width": 32,
        "blocks": 2,
        "heads": 2,
        "head_width": 16,
        "inner": 64,
        "dropout": 0.1,
        "length": 8,
        "beams": 12,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "epochs": 10,
    },
    "lcrec": {
        "tokenizer": "independent",
        "width": 32,
        "blocks": 2,
        "heads": 2,
        "inner": 64,
        "vocabulary": 400,
        "length": 8,
        "dropout": 0.0,
        "beams": 12,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "epochs": 6,
    },
    "ulmrec": {
        "levels": 2,
        "codes": 4,
        "candidates": 8,
        "width": 32,
        "blocks": 1,
        "heads": 2,
        "inner": 64,
        "vocabulary": 400,
        "length": 3,
        "alignment_epochs": 1,
        "batch_size": 16,
        "epochs": 2,
    },
    "ttds": {
        "behavior": 8,
        "levels": 2,
        "codes": 6,
        "hidden": 16,
        "latent": 8,
        "tower_epochs": 2,
        "refresh_every": 2,
        "refreshes": 2,
        "width": 32,
        "blocks": 2,
        "heads": 2,
        "head_width": 16,
        "inner": 64,
        "dropout": 0.1,
        "length": 8,
        "beams": 12,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "epochs": 10,
    },
    "joint_search": {
        "queries": 2,
        "levels": 2,
        "codes": 6,
        "tune_epochs": 1,
        "tune_batch": 16,
        "tune_inner": 32,
        "width": 32,
        "blocks": 2,
        "heads": 2,
        "head_width": 16,
        "inner": 64,
        "dropout": 0.1,
        "length": 8,
        "beams": 12,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "epochs": 4,
    },
    "semantic_pieces": {
        "levels": 2,
        "codes": 6,
        "rows": 40,
        "length": 8,
        "epochs": 10,
        "width": 32,
        "batch_size": 16,
        "dropout": 0.1,
        "learning_rate": 5e-3,
    },
}
SMALL["apao"] = SMALL["tiger"]
SMALL["mender"] = SMALL["tiger"] | {
    "none": 0.5,
    "steered": 0.2,
    "blocks": 1,
    "epochs": 7,
    "batch_size": 32,
    "learning_rate": 1e-2,
}
SMALL["human_priors"] = SMALL["sasrec"] | {"groups": 4, "rank": 4}
SMALL["onerec"] = SMALL["tiger"] | {
    "session": 2,
    "experts": 4,
    "blocks": 1,
    "epochs": 4,
    "batch_size": 64,
    "learning_rate": 1e-2,
}
VARIANTS = {
    "sasrec:bce": {"loss": "bce", "negatives": 4, "epochs": 20},
    "tiger:encoder_decoder": {"model": "encoder_decoder", "epochs": 4},
    "tiger:temporal": {"model": "temporal", "epochs": 20},
    "apao:pairwise": {"form": "pairwise", "negatives": 4, "epochs": 6},
    "semantic_pieces:ngrams": {"features": "ngrams", "n": 1},
    "itemknn:plain": {},
}
NEEDS_LANGUAGE_MODELS = ("p5", "how_to_index", "elmrec", "lcrec", "ulmrec")
COLORS = ("white", "black")


def checkerboard():
    """The dataset; item ids are words, so that nothing may rely on numbers."""
    rng = np.random.default_rng(0)
    events = []
    for user in range(USERS):
        start = rng.integers(ITEMS // 2)
        for step in range(LENGTH):
            item = 2 * ((start + step) % (ITEMS // 2)) + user % 2
            events.append((f"user-{user}", f"item-{item:02}", 1000 * step))
    catalog = pl.DataFrame(
        {
            "item_id": [f"item-{item:02}" for item in range(ITEMS)],
            "title": [f"{COLORS[item % 2]} thing number {item // 2}" for item in range(ITEMS)],
            "color": [COLORS[item % 2] for item in range(ITEMS)],
        }
    )
    frame = pl.DataFrame(events, schema=["user_id", "item_id", "timestamp"], orient="row")
    return itemlm.Dataset.build(frame, catalog, name="checkerboard")


DATA = checkerboard()
NAMES = [*papers.names(), *VARIANTS]
WALK = ["item-02", "item-04", "item-06"]  # an even user's; item-08 comes next


def fit(name, folder=None):
    """A paper on the checkerboard, in small."""
    paper = name.partition(":")[0]
    if paper in SMALL:
        pytest.importorskip("torch")
    if paper in NEEDS_LANGUAGE_MODELS:
        pytest.importorskip("transformers")
    settings = {**SMALL.get(paper, {}), **VARIANTS.get(name, {})}
    config = papers.get(paper).Config.plain() if name == "itemknn:plain" else None
    return itemlm.fit(paper, DATA, config=config, quiet=True, device="cpu", **settings)


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    fitted = fit(request.param)
    fitted.name = request.param
    return fitted


def rows(model, histories, k=5):
    """Slates of several histories."""
    return model.recommend([Query(history=history) for history in histories], k=k)


def test_learns_the_checkerboard(model):
    if model.name == "popularity":
        pytest.skip("popularity knows no colors, which is its point")
    walks = [(start, color) for start in range(8) for color in (0, 1)]
    histories = [[f"item-{2 * (s + i) + color:02}" for i in range(3)] for s, color in walks]
    following = [f"item-{2 * (s + 3) + color:02}" for s, color in walks]
    slates = rows(model, histories, k=5)
    found = [item in slate.items for item, slate in zip(following, slates, strict=True)]
    assert np.mean(found) > 0.8  # by chance, 5 of 21


def test_answers_are_items_best_first_and_new(model):
    for history, slate in zip(
        [WALK, [], ["item-01"]], rows(model, [WALK, [], ["item-01"]]), strict=True
    ):
        assert len(slate) == 5
        assert len(set(slate.items)) == 5
        assert all(item in DATA.items for item in slate.items)
        assert not set(slate.items) & set(history)
        assert slate.scores == sorted(slate.scores, reverse=True)
        assert all(math.isfinite(score) for score in slate.scores)


def test_a_batch_equals_one_by_one(model):
    histories = [WALK, [], ["item-01"], ["item-03"] * 3, [f"item-{i:02}" for i in range(0, 22, 2)]]
    together = rows(model, histories)
    for history, slate in zip(histories, together, strict=True):
        alone = model.recommend(history, k=5)
        assert alone.items == slate.items
        assert alone.scores == pytest.approx(slate.scores, rel=1e-4, abs=1e-5)


def test_seen_items_can_be_asked_for(model):
    slate = model.recommend(WALK, k=ITEMS, exclude_seen=False)
    assert set(WALK) <= set(slate.items)
    slate = model.recommend(WALK, k=ITEMS)
    assert set(slate.items) == set(DATA.items.ids.to_list()) - set(WALK)


def test_filters_by_id_column_and_condition(model):
    black = set(DATA.catalog.filter(pl.col("color") == "black")["item_id"])
    for only in (black, {"color": "black"}, {"color": ["black"]}, pl.col("color") == "black"):
        slate = model.recommend(WALK, k=ITEMS, only=only)
        assert set(slate.items) == black
    slate = model.recommend(WALK, k=ITEMS, without={"color": "black"})
    assert set(slate.items) == set(DATA.items.ids) - black - set(WALK)
    assert model.recommend(WALK, k=3, only=["item-11"], without=["item-11"]).items == []


@pytest.mark.parametrize("cells", [2**20, 2 * ITEMS])
def test_every_query_may_have_its_own_filter(model, monkeypatch, cells):
    """Whether all fit into memory at once or only two do."""
    monkeypatch.setattr("itemlm.recommender.FILTER_CELLS", cells)
    black, some = {"color": "black"}, [f"item-{item:02}" for item in (1, 3, 7, 8, 9, 10, 22)]
    queries = [
        Query(history=WALK, only=black),
        Query(history=WALK),
        Query(history=WALK, only=some, without=pl.col("color") == "white"),
        Query(history=["item-01"], without=black),
        Query(history=[], only=[]),
        Query(only=black),
    ]
    for filters in ({}, {"only": some, "without": ["item-08", "item-09"]}):
        together = model.recommend(queries, k=ITEMS, **filters)
        for query, slate in zip(queries, together, strict=True):
            alone = model.recommend(query, k=ITEMS, **filters)
            assert alone.items == slate.items
            assert alone.scores == pytest.approx(slate.scores, rel=1e-4, abs=1e-5)
            allowed = model.catalog.allowed(query.only, query.without)
            allowed &= model.catalog.allowed(filters.get("only"), filters.get("without"))
            expected = set(DATA.items.ids.filter(allowed)) - set(query.history)
            assert set(slate.items) == expected
    with pytest.raises(DataError, match="no column 'colour'"):
        model.recommend([Query(), Query(only={"colour": "black"})])


def test_unknown_items_change_nothing(model):
    assert model.recommend(["nowhere", *WALK, "else"]).items == model.recommend(WALK).items
    with pytest.warns(ItemlmWarning, match=r"no item of the history \['nowhere'\]"):
        assert model.recommend(["nowhere"]).items == model.recommend([]).items


def test_a_question_that_makes_no_sense_is_a_sentence(model):
    with pytest.raises(DataError, match="written as queries"):
        model.recommend([WALK, WALK])
    with pytest.raises(DataError, match="not NoneType"):
        model.recommend(None)
    with pytest.raises(DataError, match="a slate needs at least one place"):
        model.recommend(WALK, k=0)
    with pytest.raises(DataError, match=r"no column 'colour'.*color"):
        model.recommend(WALK, only={"colour": "black"})
    with pytest.raises(DataError, match=r"write \['item-02'\]"):
        model.recommend("item-02")


def test_filters_that_do_not_fit_are_a_sentence(model):
    with pytest.raises(DataError, match="does not fit the catalog"):
        model.recommend(WALK, only={"color": 5})
    with pytest.raises(DataError, match="not of true and false"):
        model.recommend(WALK, only=[True] * ITEMS)
    with pytest.raises(DataError, match="must say true or false"):
        model.recommend(WALK, only=pl.col("title"))
    assert model.recommend(WALK, k=3, only=pl.lit(True)) == model.recommend(WALK, k=3)


def test_more_places_than_items_and_no_queries_at_all(model):
    nobody = QueryBatch(
        offsets=np.zeros(1, np.int64),
        item_rows=np.empty(0, np.int64),
        user_rows=np.empty(0, np.int64),
    )
    assert model.topk(nobody, 3)[0].shape == (0, 3)
    somebody = QueryBatch(
        offsets=np.array([0, 1]), item_rows=np.array([4]), user_rows=np.array([-1])
    )
    rows_BK, scores_BK = model.topk(somebody, ITEMS + 5)
    assert rows_BK.shape == (1, ITEMS + 5)
    assert sorted(rows_BK[0, : ITEMS - 1]) == [row for row in range(ITEMS) if row != 4]
    assert (rows_BK[0, ITEMS - 1 :] == -1).all()
    assert np.isneginf(scores_BK[0, ITEMS - 1 :]).all()


def test_words_change_nothing_for_who_does_not_read_them(model):
    silent, worded = model.recommend([Query(history=WALK), Query(history=WALK, text="black")], k=8)
    if model.reads_text:
        assert len(worded) == 8
    else:
        assert worded == silent


def test_an_arrived_copy_stands_next_to_its_original(model):
    """Whatever the model, an item that it was not trained on gets its twin's score."""
    original = int(DATA.items.rows(["item-08"])[0])
    copy = pl.DataFrame({"item_id": ["copy"]})
    catalog = Catalog(pl.concat([model.catalog.table, copy], how="diagonal"))
    same, nobody = np.array([[original]]), np.zeros(ITEMS + 1, dtype=bool)
    live = Live(model, catalog, same, np.ones((1, 1), dtype=np.float32), nobody)
    for history, filters in (
        (WALK, {}),
        ([], {}),
        (["item-01"], {}),
        (WALK, {"only": ["copy", "item-08", "item-10"]}),
    ):
        slate = live.recommend(history, k=ITEMS + 1, **filters)
        place, twin = slate.items.index("copy"), slate.items.index("item-08")
        assert slate.scores[place] == pytest.approx(slate.scores[twin], rel=1e-4, abs=1e-5)
        # Nothing but equals comes between them.
        between = slate.scores[min(place, twin) : max(place, twin)]
        assert between == pytest.approx([slate.scores[twin]] * len(between), rel=1e-4, abs=1e-5)
    assert live.recommend(WALK, k=3, only=["copy"]).items == ["copy"]
    read_as_its_twin = live.recommend([*WALK, "copy"], k=5, without=["item-08"])
    assert read_as_its_twin.items == model.recommend([*WALK, "item-08"], k=5).items
    assert Live.of(model).recommend(WALK, k=5) == model.recommend(WALK, k=5)


def test_saved_and_loaded_answers_are_the_same(model, tmp_path):
    model.save(tmp_path / "model")
    loaded = itemlm.load_recommender(tmp_path / "model")
    for mine, theirs in zip(rows(model, [WALK, []]), rows(loaded, [WALK, []]), strict=True):
        assert mine == theirs
    assert loaded.config == model.config
    assert loaded.card == json.loads(json.dumps(model.card))
    assert loaded.parameters == model.parameters
    # Nothing on disk can run: tables, numbers and text only.
    kinds = {path.suffix for path in (tmp_path / "model").iterdir()}
    assert kinds == {".json", ".parquet", ".safetensors"}


def test_a_damaged_folder_is_a_sentence(model, tmp_path):
    model.save(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="not the file that was saved"):
        itemlm.load_recommender(tmp_path / "model")
    manifest = tmp_path / "model" / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole[:40])
    with pytest.raises(ArtifactError, match="is damaged"):
        itemlm.load_recommender(tmp_path / "model")
    manifest.write_text(whole)
    weights.unlink()
    with pytest.raises(ArtifactError, match=r"model\.safetensors is missing"):
        itemlm.load_recommender(tmp_path / "model")


def test_fitting_again_gives_the_same_answers(model):
    again = fit(model.name)
    assert [slate.items for slate in rows(again, [WALK, []])] == [
        slate.items for slate in rows(model, [WALK, []])
    ]


def test_the_card_says_where_it_comes_from(model):
    assert model.card["data"] == "checkerboard"
    assert model.card["data fingerprint"] == DATA.fingerprint
    assert model.card["fit seconds"] > 0


@pytest.mark.parametrize("name", papers.names())
def test_settings_are_checked(name):
    pytest.importorskip("torch") if name in SMALL else None
    module = papers.get(name)
    assert configured(module, None, {}) == module.Config()
    with pytest.raises(UnknownName, match="There is no setting 'no_such_thing'"):
        itemlm.fit(name, DATA, no_such_thing=1)
    with pytest.raises(ConfigError, match="seed is -1"):
        itemlm.fit(name, DATA, seed=-1)
    if learns_by_epochs(module):
        for setting, value in {"batch_size": 0, "epochs": 0, "dropout": 2, "length": 0}.items():
            with pytest.raises(ConfigError, match=f"{setting} is {value}"):
                itemlm.fit(name, DATA, **{setting: value})
        with pytest.raises(UnknownName, match="Did you mean 'epochs'"):
            itemlm.fit(name, DATA, epoch=1)
