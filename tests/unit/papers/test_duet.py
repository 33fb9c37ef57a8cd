"""Duet: what each view and each head is for."""

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

import itemlm
from itemlm.encode.attributes import Attributes
from itemlm.papers.generative.duet import BothHeads, Config, Duet, _recommender
from itemlm.papers.stages import Codes
from itemlm.recommender import Catalog
from itemlm.retrieve.two_heads import fair_lift
from itemlm.sample.next_items import SequenceBatch
from itemlm.types import QueryBatch

ITEMS = 6
CONFIG = Config(width=8, inner=8, length=3, dropout=0.0, hidden=0.0, candidates=2)
CODES = Codes(codes_NL=torch.tensor([[n % 2, n // 2] for n in range(ITEMS)]), levels=(2, 3))
NO_EVENTS = 5  # the row of an item that nobody has taken


@pytest.fixture
def model():
    torch.manual_seed(4)
    attributes = Attributes(
        values=np.zeros(ITEMS, dtype=np.int64), offsets=np.arange(ITEMS + 1), count=1
    )
    has_events_N = torch.arange(ITEMS) != NO_EVENTS
    made = Duet(CONFIG, CODES, torch.randn(ITEMS, 4), attributes, has_events_N)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def window(items, targets):
    return SequenceBatch(torch.tensor([items]), torch.tensor([len(items)]), torch.tensor([targets]))


def test_an_item_is_the_sum_of_its_views(model):
    views_ND = model.from_text(model.texts_NX) + model.from_attributes.weight[0]
    expected_ND = views_ND + model.own.weight
    expected_ND[NO_EVENTS] = views_ND[NO_EVENTS]  # has not learned a vector of its own
    torch.testing.assert_close(model.eval().item_vectors()[:, :-1], expected_ND)


def test_an_item_without_events_is_not_taught_to_be_wrong(model):
    model.train()
    objective = BothHeads(0.0, model.has_events_N)
    items_ND = model.item_vectors().detach()
    state_D = model(window([0, 1], [1, 2]), items_ND)[0, 1].detach()
    loss = objective(model, window([0, 1], [-1, 2]))["softmax"].detach()
    # Cross-entropy of item 2 among the five items with events; that of row 5 is not in the sum.
    logits_W = items_ND[:NO_EVENTS, :-1] @ state_D
    assert float(loss) == pytest.approx(float(logits_W.logsumexp(0) - logits_W[2]), abs=1e-5)


def test_hidden_vectors_leave_text_and_attributes(model):
    model.hidden = 1.0
    torch.testing.assert_close(
        model.train().item_vectors()[:, :-1],
        model.from_text(model.texts_NX) + model.from_attributes.weight[0],
    )


def test_a_score_is_the_vectors_and_the_weighted_log_probability_of_the_codes(model):
    model.eval()
    model.code_score = 0.5
    histories = SequenceBatch(torch.tensor([[3, 4]]), torch.tensor([2]), torch.full((1, 2), -1))
    state_D = model.last_states(histories)[0, :-1]
    first_V = model.decoder.read(state_D[None], 1)[0][0, 0].log_softmax(-1)
    written = model.decoder.read(state_D[None], 1)[1]
    zero_11 = torch.zeros(1, 1, dtype=torch.long)
    second_V = model.decoder.write(written, zero_11, zero_11 + 1)[0, 0].log_softmax(-1)
    # Item 3 has the codes (1, 1).
    expected = model.item_vectors()[3, :-1] @ state_D + 0.5 * (first_V[1] + second_V[1])
    torch.testing.assert_close(model.score(histories, torch.tensor([[3]]))[0, 0], expected)


def test_the_lift_is_added_to_the_scores_of_new_items(model):
    histories = SequenceBatch(torch.tensor([[3, 4]]), torch.tensor([2]), torch.full((1, 2), -1))
    rows_BC = torch.tensor([[2, NO_EVENTS]])
    plain_BC = model.eval().score(histories, rows_BC)
    model.lift.fill_(1.5)
    lifted_BC = model.eval().score(histories, rows_BC)
    torch.testing.assert_close(lifted_BC, plain_BC + torch.tensor([[0.0, 1.5]]))
    dense_BN = model.last_states(histories) @ model.item_vectors().T
    model.lift.fill_(0.0)
    plain_BN = model.eval().last_states(histories) @ model.item_vectors().T
    assert (dense_BN - plain_BN)[0].tolist() == pytest.approx([0, 0, 0, 0, 0, 1.5], abs=1e-5)


def test_new_items_get_the_places_that_their_number_asks_for():
    # 5, 4 and 3 stand in a list of three. The first new item takes the last place at a lift of
    # 3 - 4.5, the second the middle one at 4 - 2, the third the first one at 5 - 1.
    known, new = np.array([[4.0, 5.0, 3.0]]), np.array([[1.0, 4.5, 2.0]])
    assert fair_lift(known, new, 1 / 3) == 0.0  # it is there without
    assert fair_lift(known, new, 2 / 3) == 2.0
    assert fair_lift(known, new, 1.0) == 4.0
    assert fair_lift(known, new, 0.0) == 0.0
    assert fair_lift(known, np.full((1, 3), -np.inf), 1.0) == 0.0
    rng = np.random.default_rng(0)
    known, new = rng.normal(size=(200, 10)), rng.normal(size=(200, 10)) - 3
    lift = fair_lift(known, new, 0.3) + 1e-9
    best = np.argsort(-np.concatenate([known, new + lift], axis=1), axis=1)[:, :10]
    assert (best >= 10).mean() == pytest.approx(0.3)


def test_candidates_of_either_head_are_ranked_by_both(model):
    recommender = _recommender(CONFIG, model, Catalog(pl.DataFrame({"item_id": range(ITEMS)})))
    batch = QueryBatch(offsets=np.array([0, 1]), item_rows=np.array([0]), user_rows=np.array([-1]))
    dense, beam = (part.topk(batch, 2)[0][0] for part in (recommender.dense, recommender.beam))
    candidates = sorted({*dense.tolist(), *beam.tolist()})
    assert len(candidates) > 2, "the heads agree, so this world tests nothing"
    histories = SequenceBatch(torch.tensor([[0]]), torch.tensor([1]), torch.full((1, 1), -1))
    scores = model.score(histories, torch.tensor([candidates]))[0].tolist()
    expected = [row for _, row in sorted(zip(scores, candidates, strict=True), reverse=True)]
    assert recommender.topk(batch, 2)[0][0].tolist() == expected[:2]


def test_items_that_nobody_has_taken_are_reached():
    """A new film of the shelf that a viewer walks along comes before other shelves' known films."""
    events, rows = [], []
    for shelf in range(4):
        for film in range(6):
            rows.append((f"film-{shelf}-{film}", f"shelf {shelf}"))
        for user in range(40):
            walk = np.random.default_rng([shelf, user]).permutation(5)  # film 5 is new
            events += [
                (f"u{shelf}-{user}", f"film-{shelf}-{film}", i) for i, film in enumerate(walk)
            ]
    data = itemlm.Dataset.build(
        pl.DataFrame(events, schema=["user_id", "item_id", "timestamp"], orient="row"),
        pl.DataFrame(rows, schema=["item_id", "shelf"], orient="row"),
        name="shelves",
    )
    settings = {"width": 16, "inner": 32, "dropout": 0.1, "levels": 1, "codes": 4, "epochs": 8}
    model = itemlm.fit(
        "duet", data, quiet=True, device="cpu", batch_size=16, learning_rate=1e-2, **settings
    )
    for shelf in range(4):
        history = [f"film-{shelf}-{film}" for film in range(4)]
        # Left on the shelf: film 4, and film 5 that nobody has taken.
        assert set(model.recommend(history, k=2).items) == {
            f"film-{shelf}-4",
            f"film-{shelf}-5",
        }
