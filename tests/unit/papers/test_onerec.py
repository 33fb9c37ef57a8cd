"""OneRec's idea: a session is written as a whole, each item in sight of those before it."""

import itertools

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

import itemlm
from itemlm.nn.code_transformer import Shape
from itemlm.nn.experts import Experts
from itemlm.nn.session_transformer import SessionTransformer
from itemlm.objectives.next_code import next_code
from itemlm.recommender import Catalog
from itemlm.retrieve.session_beam import SessionBeam
from itemlm.sample.sessions import SessionBatch
from itemlm.types import ConfigError, Query

CODES = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0]])
SHAPE = Shape(width=16, blocks=2, heads=2, head_width=8, inner=16, dropout=0.0)
BATCH = SessionBatch(
    items_BT=torch.tensor([[0, 1, 2], [3, 5, 5]]),
    lengths_B=torch.tensor([3, 1]),
    session_BM=torch.tensor([[3, 4], [1, -1]]),
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return SessionTransformer(CODES, (3, 2), 4, 2, SHAPE, experts=3, top=2).eval()


def test_the_decoder_has_experts_and_the_encoder_has_none(model):
    assert all(isinstance(block.feed, Experts) for block in model.decoder)
    assert not any(isinstance(block.feed, Experts) for block in model.encoder)


def test_short_sessions_are_not_filled_up_for_the_experts(model):
    model.train()
    alone = SessionBatch(BATCH.items_BT[1:], BATCH.lengths_B[1:], torch.tensor([[1]]))
    padded = SessionBatch(BATCH.items_BT[1:], BATCH.lengths_B[1:], torch.tensor([[1, -1]]))
    balances = []
    for batch in (alone, padded):
        model(batch)
        balances.append([float(layer.balance.detach()) for layer in model.experts])
    assert balances[0] == pytest.approx(balances[1])


def test_all_codes_of_a_session_are_targets_level_by_level(model):
    (_, first), (_, second) = model(BATCH)
    assert first.tolist() == [1, 2, 0]  # of items 3, 4 and 1
    assert second.tolist() == [1, 0, 1]


def test_the_loss_is_minus_the_log_probability_of_the_sessions(model):
    total = float(model.log_probabilities(BATCH).sum().detach())
    codes = 2 * 3  # three items of two codes
    assert float(next_code()(model, BATCH)["next_code"].detach()) == pytest.approx(
        -total / codes, rel=1e-5
    )


def test_an_item_is_written_in_sight_of_those_before_it_and_blind_to_those_after(model):
    def logits(session):
        batch = SessionBatch(BATCH.items_BT[:1], BATCH.lengths_B[:1], torch.tensor([session]))
        return model(batch)

    with torch.no_grad():
        one, other = logits([3, 4]), logits([2, 4])
        assert torch.equal(one[0][0][0], other[0][0][0])  # the first code sees neither
        assert not torch.allclose(one[0][0][1], other[0][0][1])  # the second item sees the first
        assert torch.allclose(logits([3, 4])[0][0][0], logits([3, 0])[0][0][0])


def test_reading_what_a_session_begins_with_and_writing_on_is_what_training_sees(model):
    batch = SessionBatch(BATCH.items_BT, BATCH.lengths_B, torch.tensor([[3, 4], [1, 2]]))
    begun = SessionBatch(BATCH.items_BT, BATCH.lengths_B, batch.session_BM[:, :1])
    with torch.no_grad():
        (first_MV, _), (second_MV, _) = model(batch)
        read_B1V, written = model.read(begun, beams=2)
        codes_B1 = CODES[batch.session_BM[:, 1:], 0]
        write_B1V = model.write(written, torch.zeros(2, 1, dtype=torch.long), codes_B1)
    # Of each history the second item's logits are rows 1 and 3.
    assert torch.allclose(read_B1V[:, 0], first_MV[[1, 3]], atol=1e-5)
    assert torch.allclose(write_B1V[:, 0], second_MV[[1, 3]], atol=1e-5)


def test_the_best_sessions_are_those_of_exhaustive_scoring(model):
    catalog = Catalog(pl.DataFrame({"item_id": [f"i{n}" for n in range(5)]}))
    beam = SessionBeam("onerec", model, CODES.numpy(), catalog, None, length=4, beams=8)
    (found,) = beam.sessions([Query(history=["i0", "i1"])], count=6)
    pairs = list(itertools.permutations([2, 3, 4], 2))  # unseen, each once
    with torch.no_grad():
        log_P = model.log_probabilities(
            SessionBatch(torch.tensor([[0, 1]] * 6), torch.tensor([2] * 6), torch.tensor(pairs))
        ).numpy()
    expected = [([f"i{n}" for n in pairs[p]], log_P[p]) for p in np.argsort(-log_P)]
    assert [items for items, _ in found] == [items for items, _ in expected]
    assert [score for _, score in found] == pytest.approx([s for _, s in expected], abs=1e-4)
    with pytest.raises(ConfigError, match="sessions have 1 to 2 items"):
        beam.sessions([Query(history=["i0"])], items=3)


def test_a_session_goes_on_as_users_do():
    # Everybody walks round a circle of 12 items: a session is the next items of the walk.
    rng = np.random.default_rng(0)
    starts = rng.integers(12, size=150)
    events = [(f"u{u}", f"i{(s + t) % 12:02}", t) for u, s in enumerate(starts) for t in range(7)]
    frame = pl.DataFrame(events, schema=["user_id", "item_id", "timestamp"], orient="row")
    data = itemlm.Dataset.build(frame, name="circle")
    recommender = itemlm.fit(
        "onerec",
        data,
        quiet=True,
        device="cpu",
        tokenizer="random",
        levels=1,
        codes=4,
        session=3,
        length=4,
        width=32,
        blocks=1,
        head_width=16,
        inner=32,
        experts=4,
        epochs=8,
        validate_every=8,
        batch_size=32,
        learning_rate=2e-2,
        beams=12,
    )
    ((session, _),) = recommender.sessions([Query(history=["i03", "i04"])])[0]
    assert session == ["i05", "i06", "i07"]
