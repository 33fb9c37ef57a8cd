"""InfoNCE by hand, and the two kinds of pairs that a bi-encoder learns from."""

from __future__ import annotations

from math import exp, log

import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.bi_encoder import BiEncoder
from itemlm.objectives.contrastive import BothTasks, info_nce
from itemlm.sample.pairs import PairBatch

EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


def test_every_other_answer_of_the_batch_is_a_negative() -> None:
    asked = torch.tensor([EAST, NORTH])
    answers = torch.tensor([EAST, EAST])
    # First: both answers have cosine 1. Second: both have 0. At any temperature a coin is tossed.
    assert float(info_nce(asked, answers, 0.5)) == pytest.approx(log(2))
    right = torch.tensor([EAST, NORTH])
    # Cosines 1 and 0, over a temperature of 0.5: exp(2) against exp(0).
    assert float(info_nce(asked, right, 0.5)) == pytest.approx(-log(exp(2) / (exp(2) + 1)))


def test_the_same_answer_of_another_pair_is_no_negative() -> None:
    asked = torch.tensor([EAST, EAST, NORTH])
    answers = torch.tensor([EAST, EAST, NORTH])
    same = torch.tensor([7, 7, 3])
    # Each of the first two sees its own answer (1) and the third (0); the third sees two at 0.
    expected = (-2 * log(exp(1) / (exp(1) + 1)) - log(exp(1) / (exp(1) + 2))) / 3
    assert float(info_nce(asked, answers, 1.0, same)) == pytest.approx(expected)


def test_both_tasks_use_one_encoder_and_their_own_pairs() -> None:
    given = torch.tensor([EAST, NORTH])
    objective = BothTasks(given, torch.tensor([NORTH]), temperature=1.0)
    nobody = torch.empty(0, dtype=torch.long)
    model = BiEncoder(2, inner=4, dropout=0.0)  # untrained: the identity
    # The search (north) means item 1 (north), alone in the batch: nothing to confuse it with.
    alone = PairBatch(torch.tensor([0]), torch.tensor([1]), nobody, nobody)
    assert {k: v.tolist() for k, v in objective(model, alone).items()} == {"search": 0.0}
    # Item 0 is followed by 1, and 1 by 0: the right answers have cosine 0, the wrong ones 1.
    swapped = PairBatch(nobody, nobody, torch.tensor([0, 1]), torch.tensor([1, 0]))
    terms = objective(model, swapped)
    assert list(terms) == ["together"]
    assert terms["together"].tolist() == pytest.approx(-log(1 / (1 + exp(1))))


def test_an_untrained_bi_encoder_changes_directions_not_at_all() -> None:
    given = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    assert torch.allclose(BiEncoder(2, 8, 0.0)(given), torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
