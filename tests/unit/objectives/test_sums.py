"""Every objective can be a part of a sum, though a sum's parts do not get the model itself."""

import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.code_transformer import Shape
from itemlm.nn.item_sets import ItemSets
from itemlm.objectives.item_sets import item_sets
from itemlm.sample.next_items import SequenceBatch

SHAPE = Shape(width=8, blocks=1, heads=2, head_width=4, inner=8, dropout=0.0)
BATCH = SequenceBatch(torch.tensor([[0, 1, 2]]), torch.tensor([3]), torch.tensor([[1, 2, 3]]))


def test_the_loss_of_sets():
    torch.manual_seed(0)
    model = ItemSets(
        torch.randn(5, 3),
        torch.randn(5, 4),
        torch.arange(5),
        semantic=2,
        hidden=(6,),
        length=3,
        shape=SHAPE,
        beta=0.5,
    )
    one = item_sets(0.1)(model, BATCH)
    both = (item_sets(0.1) + 0.5 * item_sets(0.1))(model, BATCH)
    assert float(both["set"].detach()) == pytest.approx(1.5 * float(one["set"].detach()), rel=1e-5)
