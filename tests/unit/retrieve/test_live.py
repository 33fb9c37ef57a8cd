"""Live: arrived items stand beside what they are like, removed ones are gone, the rest stays."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm.recommender import Catalog, Recommender
from itemlm.retrieve import live as live_module
from itemlm.retrieve.exact import topk_of_scores
from itemlm.retrieve.live import Live
from itemlm.types import ArtifactError, DataError, Query, QueryBatch


class Table(Recommender):
    """Scores written down by hand: a start for everybody, and what each item of a history adds."""

    paper = "table"

    def __init__(self, start_N, adds_NN=None, names="abcdefgh"):
        items = len(start_N)
        super().__init__(Catalog(pl.DataFrame({"item_id": list(names[:items])})), None)
        self.start_N = np.array(start_N, dtype=np.float32)
        adds_NN = np.zeros((items, items)) if adds_NN is None else adds_NN
        self.adds_NN = np.array(adds_NN, dtype=np.float32)

    def scores(self, rows):
        return self.start_N + self.adds_NN[np.array(rows, dtype=np.int64)].sum(axis=0)

    def topk(self, batch, k):
        ends = zip(batch.offsets[:-1], batch.offsets[1:], strict=True)
        scores = [self.scores(batch.item_rows[start:stop]) for start, stop in ends]
        return topk_of_scores(np.array(scores).reshape(len(batch), len(self.start_N)), batch, k)

    def state(self):
        return {"start": self.start_N, "adds": self.adds_NN}


def with_arrived(base, arrived, removed=()):
    """Live over hand-written stand-ins: {"e": [("b", 1.0)]}, in the order of arrival."""
    ids = [*base.catalog.items.ids.to_list(), *arrived]
    width = max([len(found) for found in arrived.values()], default=1)
    rows_AM = np.full((len(arrived), width), -1, dtype=np.int64)
    cosines_AM = np.full((len(arrived), width), -np.inf, dtype=np.float32)  # as an index gives
    for line, found in enumerate(arrived.values()):
        for place, (name, cosine) in enumerate(found):
            rows_AM[line, place], cosines_AM[line, place] = ids.index(name), cosine
    gone_N = np.array([name in removed for name in ids])
    return Live(base, Catalog(pl.DataFrame({"item_id": ids})), rows_AM, cosines_AM, gone_N)


BASE = Table([4, 3, 2, 0])  # a b c d


def test_a_copy_stands_right_beside_its_original_and_others_lose_by_their_difference():
    live = with_arrived(BASE, {"e": [("b", 1.0)], "f": [("a", 0.75)]})
    slate = live.recommend([], k=3)
    # The three best known ones are 4, 3 and 2: a distance of 2, of which f loses 1 - 0.75.
    assert slate.items == ["a", "f", "b"]
    assert slate.scores == [4, 4 - (1 - 0.75) * 2, 3]
    slate = live.recommend([], k=6)
    # Now they reach from 4 to 0. At equal scores the known item is first, then who came first.
    assert slate.items == ["a", "b", "e", "f", "c", "d"]
    assert slate.scores == [4, 3, 3, 4 - (1 - 0.75) * 4, 2, 0]


def test_the_best_of_several_stand_ins_counts():
    live = with_arrived(BASE, {"e": [("c", 1.0), ("a", 0.5)]})
    # Beside c it would get 2, beside a 4 - 0.5 * 4.
    assert live.recommend([], k=5).scores == [4, 3, 2, 2, 0]
    live = with_arrived(BASE, {"e": [("c", 1.0), ("a", 0.75)]})
    assert live.recommend([], k=5).scores == [4, 3, 4 - 0.25 * 4, 2, 0]


def test_a_cosine_above_one_or_below_zero_is_no_gain():
    live = with_arrived(BASE, {"e": [("a", 1.0001)], "f": [("a", -0.5)]})
    slate = live.recommend([], k=6)
    assert slate.items == ["a", "e", "b", "c", "d", "f"]
    assert slate.scores[1] == 4
    assert slate.scores[5] == 4 - 1.5 * 4


class Relative(Table):
    """Scores an item by what else may be recommended, as models do that choose from a list."""

    def topk(self, batch, k):
        rows_BK, scores_BK = super().topk(batch, len(self.start_N))
        best_B1 = scores_BK.max(axis=1, keepdims=True, initial=0)
        return rows_BK[:, :k], (scores_BK - best_B1)[:, :k]


def test_what_the_slate_says_comes_before_what_is_said_of_stand_ins_among_themselves():
    live = with_arrived(Relative([4, 3, 2, 0]), {"e": [("c", 1.0)], "f": [("d", 1.0)]})
    slate = live.recommend([], k=6)
    # Alone, c would have the best score of all, 0.
    assert slate.items == ["a", "b", "c", "e", "d", "f"]
    assert slate.scores == [0, -1, -2, -2, -4, -4]
    assert live.recommend([], k=2).items == ["a", "b"]
    # What may not be shown is in no slate: there is nothing but the stand-ins to go by.
    assert live.recommend([], k=2, only=["e", "f"]).scores == [0, -2]


def test_without_a_stand_in_an_item_is_not_recommended():
    live = with_arrived(BASE, {"e": [], "f": [("d", 1.0)]})
    assert live.recommend([], k=9).items == ["a", "b", "c", "d", "f"]
    assert live.recommend([], k=9, only=["e"]).items == []
    # One place and one stand-in: no distance between scores, by which nothing can be lowered.
    slate = with_arrived(Table([1]), {"e": [("a", 0.5)], "f": []}).recommend([], k=3)
    assert (slate.items, slate.scores) == (["a", "e"], [1, 1])


def test_removed_items_are_gone_but_still_stand_in_and_can_be_in_a_history():
    adds = np.zeros((4, 4))
    adds[0] = [0, 0, 0, 9]  # who took a wants d
    live = with_arrived(Table([4, 3, 2, 0], adds), {"e": [("a", 1.0)]}, removed="ac")
    assert live.recommend([], k=9).items == ["e", "b", "d"]
    assert live.recommend(["a"], k=9).items == ["d", "e", "b"]
    assert with_arrived(BASE, {"e": [("a", 1.0)]}, removed="e").recommend([]).items == list("abcd")
    assert with_arrived(BASE, {}, removed="b").recommend([]).items == list("acd")


def test_in_a_history_the_closest_stand_in_is_read_and_stays_recommendable():
    adds = np.zeros((4, 4))
    adds[0] = [0, 0, 0, 9]
    live = with_arrived(Table([4, 3, 2, 0], adds), {"e": [("a", 0.9), ("b", 0.8)], "f": []})
    slate = live.recommend(["e"], k=9)
    assert slate.items == ["d", "a", "b", "c"]  # as after a; a itself was not seen, e was
    assert slate.scores == [9, 4, 3, 2]
    assert "e" in live.recommend(["e"], k=9, exclude_seen=False).items
    assert live.recommend(["f"], k=9).items[:1] == ["a"]  # nothing is known of f
    # With a itself in the history, a is left out, and e is not.
    assert live.recommend(["a"], k=9).items == ["d", "e", "b", "c"]


def test_a_long_history_beside_a_short_one_with_an_arrived_item_fills_its_slate():
    """What one query of a batch has seen costs another no places."""
    live = with_arrived(BASE, {"e": [("d", 1.0)]})
    queries = [Query(history=["e"]), Query(history=["a", "b", "c"])]
    slates = live.recommend(queries, k=2)
    assert [slate.items for slate in slates] == [["a", "b"], ["d", "e"]]
    assert [live.recommend(query, k=2) for query in queries] == slates


def test_filters_see_arrived_items():
    live = with_arrived(BASE, {"e": [("b", 1.0)], "f": [("c", 1.0)]})
    assert live.recommend([], k=9, only=["f", "e"]).items == ["e", "f"]
    assert live.recommend([], k=9, only=["a", "f"]).items == ["a", "f"]
    assert live.recommend([], k=9, without=["e", "a"]).items == ["b", "c", "f", "d"]
    assert live.recommend([], k=9, only=pl.col("item_id") > "d").items == ["e", "f"]
    queries = [Query(only=["e"]), Query(), Query(without=["b", "e"]), Query(only=[])]
    slates = live.recommend(queries, k=2)
    assert [slate.items for slate in slates] == [["e"], ["a", "b"], ["a", "c"], []]


def test_one_query_takes_no_stand_ins_from_another(monkeypatch):
    """Each has its own best stand-ins, however few of them are asked for."""
    monkeypatch.setattr(live_module, "ASKED_FOR", 1)
    live = with_arrived(BASE, {"e": [("a", 1.0)], "f": [("d", 1.0)]})
    slates = live.recommend([Query(only=["f"]), Query(only=["e", "f"])], k=1)
    assert [slate.items for slate in slates] == [["f"], ["e"]]


def test_nothing_arrived_is_the_model_itself():
    batch = QueryBatch(offsets=np.array([0, 1]), item_rows=np.array([2]), user_rows=np.array([-1]))
    for k in (1, 3, 9):
        for mine, theirs in zip(Live.of(BASE).topk(batch, k), BASE.topk(batch, k), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_places_beyond_the_last_item_are_empty():
    live = with_arrived(BASE, {"e": [("b", 1.0)]})
    batch = QueryBatch(offsets=np.array([0, 1]), item_rows=np.array([4]), user_rows=np.array([-1]))
    rows_BK, scores_BK = live.topk(batch, 7)
    assert rows_BK.tolist() == [[0, 1, 2, 3, -1, -1, -1]]
    assert scores_BK.tolist() == [[4, 3, 2, 0, -np.inf, -np.inf, -np.inf]]
    nobody = batch[:0]
    assert live.topk(nobody, 3)[0].shape == (0, 3)


def test_parts_that_do_not_fit_and_saving_are_a_sentence(tmp_path):
    live = with_arrived(BASE, {"e": [("b", 1.0)]})
    with pytest.raises(DataError, match="4 known and 1 arrived items do not make a catalog of 4"):
        Live(BASE, BASE.catalog, live.stand_ins_AM, live.similarity_AM, np.zeros(4, dtype=bool))
    with pytest.raises(ArtifactError, match="save `base`"):
        live.save(tmp_path / "model")
    assert live.parameters == 4 + 16


# --- Against the definition, slowly --------------------------------------------------------------


def by_hand(live, history, allowed, exclude_seen, k):
    """Items and scores of one query, one item at a time."""
    known, arrived = live.known, range(live.known, len(live.catalog))
    stand_ins, cosines = live.stand_ins_AM.tolist(), live.similarity_AM
    read = [row if row < known else stand_ins[row - known][0] for row in history]
    score = live.base.scores([row for row in read if row >= 0])
    hidden = set(history) if exclude_seen else set()
    shown = [row for row in range(known) if allowed[row] and row not in hidden]
    best = sorted(shown, key=lambda row: -score[row])[:k]
    helpers = {s for row in arrived if allowed[row] for s in stand_ins[row - known] if s >= 0}
    compared = [score[row] for row in [*best, *helpers]]
    spread = max(compared) - min(compared) if compared else np.float32(0)
    found = [(row, score[row]) for row in best]
    for row in arrived:
        values = [
            score[s] - spread * np.maximum(np.float32(1) - cosine, np.float32(0))
            for s, cosine in zip(stand_ins[row - known], cosines[row - known], strict=True)
            if s >= 0
        ]
        if values and allowed[row] and row not in hidden:
            found.append((row, max(values)))
    found.sort(key=lambda pair: -pair[1])
    return found[:k]


@st.composite
def questions(draw):
    """A live catalog of a few items and a batch of questions to it."""
    known, arrived, width = (
        draw(st.integers(1, 6)),
        draw(st.integers(0, 4)),
        draw(st.integers(1, 3)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    base = Table(rng.normal(size=known), rng.normal(size=(known, known)))
    stand_ins_AM = np.full((arrived, width), -1)
    for line in stand_ins_AM:
        found = rng.permutation(known)[: rng.integers(0, width + 1)]
        line[: len(found)] = found
    cosines_AM = -np.sort(-rng.uniform(-0.5, 1.0, (arrived, width)), axis=1).astype(np.float32)
    cosines_AM[stand_ins_AM < 0] = -np.inf
    items = known + arrived
    catalog = Catalog(pl.DataFrame({"item_id": [f"i{row}" for row in range(items)]}))
    removed_N = rng.random(items) < draw(st.sampled_from([0.0, 0.3]))
    live = Live(base, catalog, stand_ins_AM, cosines_AM, removed_N)
    row = st.integers(0, items - 1)
    histories = draw(st.lists(st.lists(row, max_size=5), min_size=1, max_size=4))
    share = draw(st.sampled_from([None, 0.3, 0.8]))
    own = share and rng.random((len(histories), items)) < share
    for_all = draw(st.sampled_from([None, 0.7]))
    for_all = for_all and rng.random(items) < for_all
    k = draw(st.integers(1, items + 2))
    return live, histories, for_all, own, draw(st.booleans()), k


@given(questions())
@settings(max_examples=300, deadline=None)
def test_answers_are_the_definition(asked):
    live, histories, for_all, own, exclude_seen, k = asked
    batch = QueryBatch(
        offsets=np.cumsum([0, *map(len, histories)]),
        item_rows=np.array([row for history in histories for row in history], dtype=np.int64),
        user_rows=np.full(len(histories), -1),
        exclude_seen=exclude_seen,
        allowed_N=for_all,
        allowed_BN=own,
    )
    rows_BK, scores_BK = live.topk(batch, k)
    assert rows_BK.shape == scores_BK.shape == (len(histories), k)
    for place, history in enumerate(histories):
        allowed = np.ones(len(live.catalog), dtype=bool)
        for mask in (for_all, None if own is None else own[place]):
            allowed &= True if mask is None else mask
        if live.removed_N is not None:
            allowed &= ~live.removed_N
        expected = by_hand(live, history, allowed, exclude_seen, k)
        gap = k - len(expected)
        assert rows_BK[place].tolist() == [row for row, _ in expected] + [-1] * gap
        wanted = [score for _, score in expected] + [-np.inf] * gap
        assert scores_BK[place].tolist() == pytest.approx(wanted, abs=1e-5)
        alone = live.topk(batch[place : place + 1], k)
        np.testing.assert_array_equal(alone[0][0], rows_BK[place])
        np.testing.assert_array_equal(alone[1][0], scores_BK[place])
