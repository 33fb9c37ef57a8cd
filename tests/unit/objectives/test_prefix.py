"""Prefix losses by hand: scores of prefixes, the scale of negatives, weights, and who is pulled."""

from math import exp, log

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from itemlm.nn.code_transformer import DecoderOnly, EncoderDecoder, Shape
from itemlm.objectives.next_code import next_code
from itemlm.objectives.objective import Objective
from itemlm.objectives.prefix import (
    PairwisePrefixes,
    adaptive_weights,
    pairwise_losses,
    pairwise_prefixes,
    path_scores,
    pointwise_prefixes,
)
from itemlm.sample.next_items import SequenceBatch


def two_levels(first, second):
    """A model that gives the right codes of one item the probabilities `first` and `second`."""

    def model(batch):
        return [(torch.tensor([[log(p), log(1 - p)]]), torch.tensor([0])) for p in (first, second)]

    return model


# --- Point-wise -----------------------------------------------------------------------------------


def test_a_prefix_loss_is_the_mean_negative_log_probability_of_its_codes():
    # S_1 = log .5, S_2 = log .5 + log .2; divided by their length and the temperature 2.
    loss_L = pointwise_prefixes(temperature=2.0).losses(two_levels(0.5, 0.2), None)
    assert loss_L.tolist() == pytest.approx([-log(0.5) / 2, -(log(0.5) + log(0.2)) / (2 * 2)])


def test_scores_are_means_over_the_batch_and_ended_paths_keep_theirs():
    # Two items begin with p = .5 and .25; only the first has a second code, with p = .2.
    def model(batch):
        return [
            (torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log(), torch.tensor([0, 0])),
            (torch.tensor([[0.2, 0.8]]).log(), torch.tensor([0])),
        ]

    mean_1 = (log(0.5) + log(0.25)) / 2
    mean_2 = (log(0.5) + log(0.2) + log(0.25)) / 2
    loss_L = pointwise_prefixes().losses(model, None)
    assert loss_L.tolist() == pytest.approx([-mean_1, -mean_2 / 2])


def test_weights_grow_with_the_loss():
    # w is in proportion to L exp(eta L): 1 e^2 and 3 e^6 for eta = 2.
    weights_L = adaptive_weights(torch.tensor([1.0, 3.0]), eta=2.0)
    total = 1 * exp(2) + 3 * exp(6)
    assert weights_L.tolist() == pytest.approx([exp(2) / total, 3 * exp(6) / total])
    assert adaptive_weights(torch.tensor([1.0, 3.0]), eta=0.0).tolist() == [0.25, 0.75]
    assert adaptive_weights(torch.zeros(4), eta=1.0).tolist() == [0.25] * 4
    assert adaptive_weights(torch.tensor([500.0, 1000.0]), eta=5.0).tolist() == [0.0, 1.0]


def test_no_gradient_goes_through_the_weights():
    loss_L = torch.tensor([1.0, 3.0], requires_grad=True)
    (adaptive_weights(loss_L, 1.0) * loss_L).sum().backward()
    assert loss_L.grad.tolist() == pytest.approx(
        adaptive_weights(torch.tensor([1.0, 3.0]), 1.0).tolist()
    )


class Logits(nn.Module):
    """One item of two codes whose logits are the parameters."""

    def __init__(self, first, second):
        super().__init__()
        self.levels = nn.ParameterList(
            nn.Parameter(torch.tensor([[log(p), log(1 - p)]])) for p in (first, second)
        )

    def forward(self, batch):
        return [(logits, torch.tensor([0])) for logits in self.levels]


def pull_on_the_first_code(objective):
    """Its share of the gradient's size, for a model that is worst at the first code."""
    model = Logits(0.1, 0.9)
    sum(objective(model, None).values()).backward()
    first, second = (float(logits.grad.abs().sum()) for logits in model.levels)
    return first / (first + second)


def test_the_gradient_moves_to_the_worst_prefix():
    # L_1 = -log .1 = 2.30, L_2 = (-log .1 - log .9) / 2 = 1.20. The gradient of -log p with respect
    # to its two logits has the size 2 (1 - p); the first code is in both prefixes.
    pulls = [pull_on_the_first_code(pointwise_prefixes(eta)) for eta in (0.0, 1.0, 4.0)]
    loss_1, loss_2 = -log(0.1), (-log(0.1) - log(0.9)) / 2
    for pull, eta in zip(pulls, (0.0, 1.0, 4.0), strict=True):
        grown = loss_1 * exp(eta * loss_1), loss_2 * exp(eta * loss_2)
        w_1, w_2 = (part / sum(grown) for part in grown)
        first, second = (w_1 + w_2 / 2) * 0.9, w_2 / 2 * 0.1
        assert pull == pytest.approx(first / (first + second))
    assert pull_on_the_first_code(next_code()) < pulls[0] < pulls[1] < pulls[2]


# --- Pair-wise ------------------------------------------------------------------------------------

# Three negatives of the right path (0, 0): one shares its first code, one all of it.
PATHS = torch.tensor([[[0, 0], [0, 1], [0, 0], [1, 0]]])


def test_negatives_with_the_same_prefix_do_not_count_and_the_rest_are_scaled_up():
    score_BPL = torch.tensor([[[-1.0, -3.0], [-1.0, -2.0], [-1.0, -3.0], [-2.0, -2.5]]])
    loss_L = pairwise_losses(score_BPL, PATHS, others_L=torch.tensor([4.0, 9.0]))
    # Length 1: only path 3 counts, and stands for 4 others. Length 2: paths 1 and 3, rho = 9 / 2.
    first = -log(exp(-1) / (exp(-1) + 4 * exp(-2)))
    second = -log(exp(-3) / (exp(-3) + 9 / 2 * (exp(-2) + exp(-2.5)))) / 2
    assert loss_L.tolist() == pytest.approx([first, second])


def test_a_batch_in_which_all_negatives_share_the_prefix_costs_nothing():
    score_BPL = torch.tensor([[[-1.0, -3.0], [-1.0, -3.0]]], requires_grad=True)
    loss_L = pairwise_losses(
        score_BPL, torch.tensor([[[0, 0], [0, 0]]]), others_L=torch.tensor([1.0, 3.0])
    )
    assert loss_L.tolist() == [0.0, 0.0]
    loss_L.sum().backward()
    assert score_BPL.grad.isfinite().all()


def test_other_prefixes_are_counted_once():
    codes_NL = torch.tensor([[0, 0], [0, 1], [1, 0], [1, -1]])
    assert PairwisePrefixes(codes_NL, 1, 0.0, 1.0).others_L.tolist() == [1.0, 3.0]


SHAPE = Shape(width=16, blocks=2, heads=2, head_width=8, inner=32, dropout=0.0)
CODES = torch.tensor([[0, 1, 0], [0, 2, 1], [1, 0, -1], [1, 2, 0]])
BATCH = SequenceBatch(
    items_BT=torch.tensor([[0, 1], [2, 4]]),
    lengths_B=torch.tensor([2, 1]),
    targets_BT=torch.tensor([[1, 3], [2, -1]]),
)


@pytest.mark.parametrize("kind", [DecoderOnly, EncoderDecoder])
def test_scores_of_paths_are_what_training_sees_and_have_gradients(kind):
    torch.manual_seed(0)
    model = kind(CODES, (2, 3, 2), 4, SHAPE)
    rights_B = [3, 2]
    codes_BPL = CODES[torch.tensor([[right, 0, 1] for right in rights_B])]
    score_BPL = path_scores(model, BATCH, codes_BPL)
    # The same by reading each history with its right item as the only target.
    for row, right in enumerate(rights_B):
        length = int(BATCH.lengths_B[row])
        history = BATCH.items_BT[row : row + 1, :length]
        targets = torch.cat([history[:, 1:], torch.tensor([[right]])], dim=1)
        alone = SequenceBatch(history, torch.tensor([length]), targets)
        total = 0.0
        with torch.no_grad():
            levels = model(alone)
        for level, (logits, codes) in enumerate(levels):
            # Of all codes that a decoder-only model predicts, the last item's come last.
            if CODES[right, level] >= 0:
                total += float(logits[-1].log_softmax(-1)[codes[-1]])
            assert float(score_BPL[row, 0, level].detach()) == pytest.approx(total, abs=1e-5)
    score_BPL.sum().backward()
    assert all(
        weights.grad is not None and weights.grad.isfinite().all() for weights in model.parameters()
    )


def test_training_pair_wise_lifts_the_right_item_above_all_others():
    torch.manual_seed(0)
    model = DecoderOnly(CODES, (2, 3, 2), 4, SHAPE)
    objective = pairwise_prefixes(CODES, negatives=8, eta=1.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        sum(objective(model, BATCH).values()).backward()
        optimizer.step()
    score_BN = path_scores(model, BATCH, CODES.expand(2, -1, -1))[..., -1]
    assert score_BN.argmax(1).tolist() == [3, 2]


# --- Sums -----------------------------------------------------------------------------------------


class Counting(nn.Module):
    """A model that counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    def forward(self, batch):
        self.asked += 1
        return [(torch.zeros(1, 2), torch.tensor([0]))]


class Twice(Objective):
    """A loss that looks at a batch a second time."""

    def forward(self, model, batch):
        first, second = model(batch), model(batch)
        return {"twice": torch.tensor(float(first is not second))}


def test_the_terms_of_a_sum_share_their_first_pass_only():
    model, batch = Counting(), np.zeros(1)
    terms = (next_code() + 0.1 * pointwise_prefixes() + Twice())(model, batch)
    assert set(terms) == {"next_code", "prefix", "twice"}
    assert model.asked == 2
    assert terms["twice"] == 1
