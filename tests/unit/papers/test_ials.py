"""iALS: the least squares by hand, the gradients against the exact solution, and what l2 does."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlm.data.dataset import Dataset
from itemlm.papers.collaborative import ials, popularity
from itemlm.papers.collaborative.ials import IALS, Config, fit, restore, solved
from itemlm.recommender import Catalog, Saved
from itemlm.sparse import CSR
from itemlm.types import ConfigError, ItemlmWarning, Query

NO_RUN = None  # the number of iterations is fixed
ITEMS = "abcdef"
CATALOG = pl.DataFrame({"item_id": list(ITEMS)})


def dataset_of(*histories):
    """One user per history, whose items are single letters."""
    events = [(user, item) for user, history in enumerate(histories) for item in history]
    frame = pl.DataFrame(events, schema={"user_id": pl.Int64, "item_id": pl.String}, orient="row")
    return Dataset.build(frame, CATALOG, name="tiny")


def csr_of(table_RC):
    rows, columns = np.nonzero(table_RC)
    return CSR.distinct(rows, columns, table_RC.shape)


def with_zeros(vectors_ND):
    """As the solvers want them: float32, and a line of zeros at the end."""
    return np.vstack([vectors_ND, np.zeros_like(vectors_ND[:1])]).astype(np.float32)


def scores_of(model, history):
    slate = model.recommend(list(history), k=6)
    return dict(zip(slate.items, slate.scores, strict=True))


def test_a_query_is_solved_by_hand():
    # Vectors of width 1: a is 2, b is 1, the others 0. Unobserved pairs weigh 0.1, l2 is 0.5.
    # For the history [a]: (2 * 2 + 0.1 * (4 + 1) + 0.5 * (1 + 0.1 * 6)) w = 2, so w = 2 / 5.3,
    # and b scores w * 1.
    items_ND = np.array([[2], [1], [0], [0], [0], [0]], dtype=np.float32)
    config = Config(width=1, unobserved=0.1, l2=0.5)
    model = IALS(Catalog(CATALOG), config, items_ND, np.zeros(6, np.float32))
    assert scores_of(model, "a")["b"] == pytest.approx(2 / 5.3)
    # For [a, b]: (4 + 1 + 0.5 + 0.5 * (2 + 0.6)) w = 2 + 1.
    assert scores_of(model, "ab")["c"] == 0
    seen = model.recommend(["a", "b"], k=1, exclude_seen=False)
    assert seen.scores == pytest.approx([2 * 3 / 6.8])


tables = st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=8).map(
    lambda rows: np.array(rows)
)


def objective(taken_UN, users_UD, items_ND, config):
    """The loss of Rendle et al., summed over all pairs without any shortcut."""
    guess_UN = users_UD.astype(np.float64) @ items_ND.T.astype(np.float64)
    loss = (taken_UN * (guess_UN - 1) ** 2).sum() + config.unobserved * (guess_UN**2).sum()
    for vectors_RD, table_RC in ((users_UD, taken_UN), (items_ND, taken_UN.T)):
        ridge_R = config.ridge(table_RC.sum(axis=1), table_RC.shape[1])
        loss += (ridge_R * (vectors_RD.astype(np.float64) ** 2).sum(axis=1)).sum()
    return loss


@given(tables, st.sampled_from([0.01, 0.3]), st.sampled_from([0.01, 0.5]))
def test_the_exact_solution_is_where_the_loss_is_lowest(taken_UN, unobserved, l2):
    config = Config(width=3, unobserved=unobserved, l2=l2)
    rng = np.random.default_rng(0)
    items_CD = with_zeros(rng.normal(size=(6, 3)))
    background_DD = unobserved * (items_CD.T @ items_CD)
    users_UD = solved(csr_of(taken_UN), items_CD, background_DD, config)
    lowest = objective(taken_UN, users_UD, items_CD[:-1], config)
    for _ in range(5):
        moved_UD = users_UD + 0.05 * rng.normal(size=users_UD.shape)
        assert objective(taken_UN, moved_UD, items_CD[:-1], config) > lowest


@given(tables, st.sampled_from([1, 40, 2**20]))
def test_gradient_steps_lead_to_the_exact_solution(taken_UN, cells_at_a_time):
    config = Config(width=3)
    taken = csr_of(taken_UN)
    items_CD = with_zeros(np.random.default_rng(0).normal(size=(6, 3)))
    exact_UD = solved(taken, items_CD, config.unobserved * (items_CD.T @ items_CD), config)
    vectors_UD = np.zeros_like(exact_UD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ials, "CELLS_AT_A_TIME", cells_at_a_time)
        groups = list(ials._groups(taken, config))
        for _ in range(40):
            ials._improve(vectors_UD, items_CD, groups, config)
    np.testing.assert_allclose(vectors_UD, exact_UD, atol=1e-3)


def test_every_iteration_lowers_the_loss():
    rng = np.random.default_rng(0)
    data = dataset_of(*("".join(rng.choice(list(ITEMS), 3, replace=False)) for _ in range(40)))
    taken_UN = np.zeros((40, 6), dtype=bool)
    taken_UN[data.sequences.user_rows, data.sequences.item_rows] = True
    losses = []
    for iterations in (1, 2, 4, 8):
        config = Config(width=2, iterations=iterations)
        model = fit(data, config, NO_RUN)
        users_UD = solved(csr_of(taken_UN), model._items_CD, model._background_DD, config)
        losses.append(objective(taken_UN, users_UD, model.items_ND, config))
    assert losses == sorted(losses, reverse=True)


def test_what_is_taken_together_is_recommended_together():
    model = fit(dataset_of(*["abc"] * 10, *["def"] * 10), Config(width=4), NO_RUN)
    assert model.recommend(["a"], k=2).items[0] in "bc"
    assert set(model.recommend(["a", "f"], k=4).items) == set("bcde")
    assert set(model.recommend(["d"], k=2).items) == set("ef")


def test_the_ridge_grows_with_what_a_vector_has_to_explain():
    # l2 * (events + unobserved * others): 0.5 * (2 + 0.1 * 30) and 0.5 * (7 + 0.1 * 30).
    ridge = Config(l2=0.5, unobserved=0.1).ridge(np.array([2, 7]), 30)
    assert ridge == pytest.approx([2.5, 5])


def test_a_repeat_counts_once_and_order_does_not_matter():
    once, twice = (fit(dataset_of(h, "bc"), Config(width=2), NO_RUN) for h in ("ab", "baab"))
    np.testing.assert_allclose(once.items_ND, twice.items_ND, atol=1e-6)
    assert once.recommend(["a"]).scores == once.recommend(["a", "a"]).scores


def test_nothing_known_gets_the_order_of_popularity():
    data = dataset_of("abc", "bc", "c", "fa", "ce")
    popular = popularity.fit(data, popularity.Config(), NO_RUN).recommend([])
    model = fit(data, Config(width=2), NO_RUN)
    assert model.recommend([]).items == popular.items
    with pytest.warns(ItemlmWarning, match="what anyone would get"):
        assert model.recommend(["unheard of"]).items == popular.items
    assert model.recommend(["d"]).items == [item for item in popular.items if item != "d"]


def test_the_seed_decides_and_the_data_stay_as_they_are():
    data = dataset_of("cba", "fad", "abe")
    before = data.sequences.item_rows.tolist()
    first, again, other = (fit(data, Config(seed=seed), NO_RUN).items_ND for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert data.sequences.item_rows.tolist() == before


def test_many_queries_equal_one_by_one():
    model = fit(dataset_of("abc", "bcd", "cde"), Config(width=4), NO_RUN)
    queries = [Query(history=list(history)) for history in ("ab", "", "cde", "b")]
    for query, slate in zip(queries, model.recommend(queries), strict=True):
        assert scores_of(model, query.history) == pytest.approx(
            dict(zip(slate.items, slate.scores, strict=True)), rel=1e-4, abs=1e-6
        )


def test_saved_as_float32_and_restored(tmp_path):
    model = fit(dataset_of("abc", "bcd", "cde"), Config(width=4), NO_RUN)
    model.save(tmp_path / "model")
    saved = Saved.read(tmp_path / "model")
    assert {str(array.dtype) for array in saved.state.values()} == {"float32"}
    again = restore(saved)
    assert again.recommend(["a", "b"]) == model.recommend(["a", "b"])
    assert again.config == Config(width=4)


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"iterations": 0}, {"unobserved": 0}, {"l2": -1}, {"seed": -1}]
)
def test_settings_that_cannot_work(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Config(**wrong)
