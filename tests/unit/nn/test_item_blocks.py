"""Items as blocks of tokens: who sees whom, all codes in one pass, and the loss by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.code_transformer import Shape
from itemlm.nn.item_blocks import ItemBlocks, Items
from itemlm.objectives.all_codes import all_codes
from itemlm.sample.next_items import SequenceBatch

ITEMS, LEVELS, CODES, PARTS = 30, 2, 64, 4
SHAPE = Shape(width=16, blocks=2, heads=2, head_width=8, inner=32, dropout=0.1)


@pytest.fixture(scope="module")
def model():
    """Random weights, large enough that everything matters; three last codes."""
    rng = np.random.default_rng(0)
    codes_NL = np.column_stack(
        [rng.integers(CODES, size=(ITEMS, LEVELS)), rng.integers(3, size=ITEMS)]
    )
    parts_NCP = torch.from_numpy(rng.normal(size=(ITEMS, LEVELS, PARTS)).astype(np.float32))
    torch.manual_seed(0)
    items = Items(torch.from_numpy(codes_NL), parts_NCP)
    model = ItemBlocks(items, (8, 8), last_codes=3, length=4, shape=SHAPE, steps=True).eval()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.4)
    return model


def histories(*rows):
    """A batch without targets."""
    items_BT = torch.tensor(rows)
    lengths_B = torch.full((len(rows),), len(rows[0]))
    return SequenceBatch(items_BT, lengths_B, torch.full_like(items_BT, -1))


def changed(model, place, code):
    """[T + 1, Q] which states move when one code of the item at a place is another."""
    batch = histories([0, 1, 2])
    before_TQD = model.states(batch)[0]
    codes_NL = model.items.codes_NL
    row = int(batch.items_BT[0, place])
    kept = int(codes_NL[row, code])
    codes_NL[row, code] = (kept + 9) % CODES
    after_TQD = model.states(batch)[0]
    codes_NL[row, code] = kept
    return ((before_TQD - after_TQD).abs().amax(2) > 1e-6).tolist()


@torch.no_grad()
def test_both_ways_inside_an_item_and_only_back_between_items(model):
    # The beginning and the first item know nothing of a change in the second; all three codes of
    # the second item and of the third do, whichever code it was.
    for code in (0, 1):
        assert changed(model, 1, code) == [[False] * 3, [False] * 3, [True] * 3, [True] * 3]


@torch.no_grad()
def test_all_codes_come_out_of_one_pass_and_no_code_depends_on_another(model):
    logits_B1V, written = model.read(histories([3, 4], [5, 6]), beams=7)
    assert logits_B1V.shape == (2, 1, 64)
    some = torch.zeros(2, 7, dtype=torch.long)
    second = [logits.clone() for logits in written.coming]
    assert torch.equal(model.write(written, some, some), second[0])
    assert torch.equal(model.write(written, some, some + 1), second[1])
    used_U = model.items.used[0]
    assert logits_B1V.isfinite().sum(2).tolist() == [[len(used_U)]] * 2


@torch.no_grad()
def test_the_loss_by_hand(model):
    batch = histories([3, 4])
    batch.targets_BT[0, :] = torch.tensor([4, 5])
    found = all_codes()(model, batch)["all_codes"].item()
    terms = []
    for history, item in ([[], 3], [[3], 4], [[3, 4], 5]):
        state_QD = model.states(histories([3, 4]))[0, len(history)]
        codes = model.items.codes_NL[item]
        for level in range(2):
            used_U = model.items.used[level]
            logits_U = model.written_codes[level](used_U) @ state_QD[level]
            terms.append(-logits_U.log_softmax(0)[used_U == codes[level]].item())
        terms.append(-(model.written_last.weight @ state_QD[2]).log_softmax(0)[codes[2]].item())
    # Three items of three codes; the mean over codes is one over items too.
    assert found == pytest.approx(sum(terms) / 9, rel=1e-4)
