"""Sparse experts against the dense definition, and the balance term by hand."""

import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.experts import Experts, unevenness
from itemlm.objectives.even_use import even_use
from itemlm.types import ConfigError


def dense(layer, x_ND):
    """The definition: every expert for every token, weighted by its share or by 0."""
    share_NE = layer.router(x_ND).softmax(-1)
    kth_N1 = share_NE.sort(dim=-1, descending=True).values[:, layer.top - 1, None]
    share_NE = share_NE.where(share_NE >= kth_N1, 0.0)
    out_NED = torch.stack([expert(x_ND) for expert in layer.experts], dim=1)
    return (share_NE[..., None] * out_NED).sum(1)


@pytest.mark.parametrize("top", [1, 2, 5])
def test_sparse_is_dense(top):
    torch.manual_seed(0)
    layer = Experts(6, 8, experts=5, top=top)
    x_ND = torch.randn(40, 6, requires_grad=True)
    weights_ND = torch.randn(40, 6)
    gradients = []
    for compute in (layer, lambda x: dense(layer, x)):
        out_ND = compute(x_ND)
        inputs = [x_ND, *layer.parameters()]
        gradients.append((out_ND, *torch.autograd.grad((out_ND * weights_ND).sum(), inputs)))
    for sparse_part, dense_part in zip(*gradients, strict=True):
        assert torch.allclose(sparse_part, dense_part, atol=1e-6)


def test_any_shape_goes_in_and_comes_out():
    torch.manual_seed(0)
    layer = Experts(6, 8, experts=3, top=2)
    x = torch.randn(2, 3, 4, 6)
    assert torch.allclose(layer(x), layer(x.view(24, 6)).view(2, 3, 4, 6))


def test_padding_is_not_thought_about():
    torch.manual_seed(0)
    layer = Experts(6, 8, experts=3, top=2)
    x_BSD = torch.randn(2, 3, 6)
    alone_ND, balance = layer(x_BSD[:, :2].flatten(0, 1)), layer.balance
    layer.real = torch.tensor([[True, True, False], [True, True, False]])
    padded_BSD = layer(x_BSD)
    assert torch.allclose(padded_BSD[:, :2].flatten(0, 1), alone_ND)
    assert not padded_BSD[:, 2].any()
    assert torch.allclose(layer.balance, balance)


def test_an_expert_without_tokens_costs_nothing():
    layer = Experts(2, 4, experts=3, top=1)
    with torch.no_grad():
        layer.router.weight.copy_(torch.tensor([[9.0, 0.0], [0.0, 0.0], [-9.0, 0.0]]))
    out = layer(torch.ones(5, 2))
    out.sum().backward()
    used = [any(p.grad is not None for p in expert.parameters()) for expert in layer.experts]
    assert used == [True, False, False]


def test_balance_by_hand():
    # Three tokens of one expert each: experts 0, 0 and 1 are chosen. f = (2/3, 1/3), and the mean
    # shares are (.6 + .9 + .3) / 3 = .6 and .4: 2 * (2/3 * .6 + 1/3 * .4).
    share_NE = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7]])
    value = unevenness(share_NE, torch.tensor([[0], [0], [1]]))
    assert float(value) == pytest.approx(2 * (2 / 3 * 0.6 + 1 / 3 * 0.4))


def test_balance_is_1_when_all_are_used_alike_and_grows_to_the_number_of_experts():
    even = unevenness(torch.full((4, 4), 0.25), torch.arange(4)[:, None])
    assert float(even) == pytest.approx(1.0)
    one = torch.zeros(4, 4).index_fill(1, torch.tensor([2]), 1.0)
    assert float(unevenness(one, torch.full((4, 1), 2))) == pytest.approx(4.0)


def test_learning_evenness_spreads_the_tokens():
    torch.manual_seed(0)
    layer = Experts(4, 8, experts=4, top=1)
    x_ND = torch.randn(400, 4)
    with torch.no_grad():
        layer.router.weight[0] += 1.0 * x_ND.mean(0).sign()

    def most_used():
        return int(layer.router(x_ND).argmax(-1).bincount(minlength=4).max())

    before = most_used()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        sum(even_use()(layer, x_ND).values()).backward()
        optimizer.step()
    assert most_used() < before


def test_more_experts_for_a_token_than_there_are_is_a_sentence():
    with pytest.raises(ConfigError, match="top is 3, but there are only 2 experts"):
        Experts(4, 8, experts=2, top=3)
