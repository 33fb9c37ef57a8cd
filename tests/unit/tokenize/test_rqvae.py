"""RQ-VAE: its losses by hand, its safeguards against collapse, and its life in numpy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from itemlm.tokenize.gradients import rotated
from itemlm.tokenize.quality import quality
from itemlm.tokenize.rqvae import RQVAE, RQVAEConfig, _Training, evenly, rqvae
from itemlm.tokenize.ties import spread_ties
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import ConfigError, ItemlmWarning

SMALL = RQVAEConfig(
    levels=2,
    codes=16,
    hidden=(32,),
    latent=8,
    epochs=20,
    plain_epochs=10,
    batch_size=64,
    learning_rate=1e-2,
    check_every=3,
)


def vectors(items=300, width=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(10, width))[rng.integers(10, size=items)] + 0.2 * rng.normal(
        size=(items, width)
    )


def by_hand(codebooks):
    """A model whose encoder and decoder change nothing, with given codebooks."""
    model = RQVAE(1, RQVAEConfig(hidden=(), latent=1, commitment=0.25))
    with torch.no_grad():
        for layer in (model.encoder[0], model.decoder[0]):
            layer.weight.fill_(1.0)
            layer.bias.zero_()
    for codebook in codebooks:
        model.codebooks.append(torch.nn.Parameter(torch.tensor(codebook)))
    return model


def test_losses_of_one_item_by_hand():
    # x = z = 5. Level 1: nearest of 0 and 4 is 4, residual 5, so (5 - 4)^2 = 1 in both terms.
    # Level 2: residual 1, nearest of 0.5 and 3 is 0.5, so (1 - 0.5)^2 = 0.25 in both terms.
    # Restored as 4.5.
    model = by_hand([[[0.0], [4.0]], [[0.5], [3.0]]])
    reconstruction, quantization = model(torch.tensor([[5.0]]))
    assert reconstruction.item() == pytest.approx((5 - 4.5) ** 2)
    assert quantization.item() == pytest.approx((1 + 0.25 * 1) + (0.25 + 0.25 * 0.25))


def test_gradients_flow_as_the_paper_says():
    model = by_hand([[[0.0], [4.0]]])
    x_BD = torch.tensor([[5.0]])

    # Straight through: restored = w_dec * (z + 4 - z), so d/dz (5 - 4 w_dec)^2 = -2 * (5 - 4) = -2,
    # and z = w_enc * 5 + b_enc passes it on: -10 to the weight, -2 to the bias.
    gradients = torch.autograd.grad(
        model(x_BD)[0], [*model.encoder.parameters(), model.codebooks[0]], allow_unused=True
    )
    assert [gradient.item() for gradient in gradients[:2]] == pytest.approx([-10.0, -2.0])
    assert gradients[2] is None  # reconstruction teaches no codeword

    # Quantization: the chosen codeword gets d/de (5 - e)^2 = -2, the other nothing; the latent gets
    # commitment * 2 * (5 - 4) = 0.5.
    word, bias = torch.autograd.grad(model(x_BD)[1], [model.codebooks[0], model.encoder[0].bias])
    assert word[:, 0].tolist() == pytest.approx([0.0, -2.0])
    assert bias.item() == pytest.approx(0.5)


def test_the_rotation_trick_changes_the_gradient_and_nothing_else():
    straight, turned = by_hand([[[0.0], [4.0]]]), by_hand([[[0.0], [4.0]]])
    turned.gradient = rotated
    x_BD = torch.tensor([[5.0]])
    assert turned(x_BD)[0].item() == straight(x_BD)[0].item() == pytest.approx(1)
    # On a line there is nothing to turn, but 5 becomes 4: d/dz is -2 * 4 / 5 in place of -2.
    for model, expected in ((straight, -2), (turned, -1.6)):
        (bias,) = torch.autograd.grad(model(x_BD)[0], [model.encoder[0].bias])
        assert bias.item() == pytest.approx(expected)


def test_the_last_level_can_be_used_evenly_while_learning():
    # All are nearest to 0 on the last level; the half that loses least by it takes 1.
    model = by_hand([[[0.0], [10.0]], [[0.0], [1.0]]])
    model.choose_last = evenly
    z_BH = torch.tensor([[0.1], [0.2], [0.3], [0.4]])
    assert model.quantize(z_BH).codes_BS[:, 1].tolist() == [0, 0, 1, 1]
    model.eval()
    assert model.quantize(z_BH).codes_BS[:, 1].tolist() == [0, 0, 0, 0]


def test_unused_codewords_are_put_where_residuals_are():
    training = _Training(torch.linspace(-1, 1, 40)[:, None], SMALL, seed=0)
    training.start_codebooks()
    with torch.no_grad():
        training.model.codebooks[0][3:] = 1e6  # far from everything
        training.revive_unused()
    assert training.model.codebooks[0].abs().max() < 1e3


def test_codes_are_used_and_vectors_come_back():
    measured = []
    tokens = rqvae(vectors(), SMALL, progress=lambda *told: measured.append(told))
    result = quality(tokens, vectors())
    assert min(result.usage[:-1]) > 0.9
    assert result.lost[-1] < 0.2
    assert result.agreement[0] > 5 * result.chance[0]
    # Every third epoch once there are codes, and the last one.
    assert [told[:2] for told in measured] == [(12, 20), (15, 20), (18, 20), (20, 20)]
    best = min(told[2]["reconstruction error"] for told in measured)
    assert result.lost[-1] == pytest.approx(best, rel=1e-5)  # the best one is kept


def test_numpy_and_torch_choose_the_same_codes():
    x_ND = torch.from_numpy(vectors().astype(np.float32))
    training = _Training(x_ND, SMALL, seed=0)
    training.start_codebooks()
    quantizer = training.model.quantizer(np.zeros(12), np.ones(12))
    length_N1 = x_ND.norm(dim=1, keepdim=True)
    latent_NH = training.model.encoder(x_ND / length_N1)
    np.testing.assert_allclose(
        quantizer.latents(x_ND.numpy()), latent_NH.detach().numpy(), atol=1e-5
    )
    sum_NH = training.model.quantize(latent_NH).sum_BH
    np.testing.assert_allclose(
        quantizer.reconstruct(quantizer.codes(x_ND.numpy())),
        training.model.decoder(sum_NH).detach().numpy(),
        atol=1e-4,
    )


def test_items_appended_after_loading_get_the_codes_of_their_vectors(tmp_path):
    tokens = rqvae(vectors(), SMALL)
    tokens.save(tmp_path / "tokens")
    grown = ItemTokens.load(tmp_path / "tokens").append(vectors()[:40])
    assert np.array_equal(grown.semantic_codes[300:], tokens.semantic_codes[:40])


def test_the_same_seed_gives_the_same_tokens_whatever_torch_did_before():
    torch.manual_seed(1)
    first = rqvae(vectors(), SMALL, seed=5)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = rqvae(vectors(), SMALL, seed=5)
    assert first.fingerprint == again.fingerprint
    assert torch.equal(torch.get_rng_state(), state)
    assert rqvae(vectors(), SMALL, seed=6).fingerprint != first.fingerprint


def test_training_stops_when_nothing_gets_better(monkeypatch):
    monkeypatch.setattr(_Training, "one_pass", lambda training, epoch: None)
    told = []
    config = RQVAEConfig(**{**vars(SMALL), "epochs": 100, "check_every": 5, "patience": 2})
    rqvae(vectors(), config, progress=lambda epoch, *_: told.append(epoch))
    # The first measurement, at 15, is the best there is; two later ones find nothing better.
    assert told == [15, 20, 25]


def test_ties_can_be_spread():
    plain = RQVAEConfig(**{**vars(SMALL), "codes": 64})
    spread = RQVAEConfig(**{**vars(plain), "spread": spread_ties})
    assert len(np.unique(rqvae(vectors(), plain).semantic_codes, axis=0)) < 300
    assert len(np.unique(rqvae(vectors(), spread).semantic_codes, axis=0)) == 300


def test_fewer_items_than_codes_and_constant_dimensions_work():
    few = np.column_stack([vectors(items=5), np.full(5, 3.0)])
    tokens = rqvae(few, SMALL)
    assert tokens.levels[0] == 5
    assert tokens.decode(tokens.codes_NL).tolist() == [0, 1, 2, 3, 4]


def test_a_collapsed_fit_is_called_so(monkeypatch):
    # Codebooks whose words are all far away but one cannot be told from collapse.
    def collapse(training):
        for _ in range(training.config.levels):
            words = torch.full((16, 8), 1e3)
            words[0] = 0
            training.model.codebooks.append(torch.nn.Parameter(words))
        training.optimizer.add_param_group({"params": list(training.model.codebooks)})

    monkeypatch.setattr(_Training, "start_codebooks", collapse)
    monkeypatch.setattr(_Training, "revive_unused", lambda training: None)
    with pytest.warns(ItemlmWarning, match=r"uses only 6% of its codes"):  # 1 of 16
        rqvae(vectors(), SMALL)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"codes": 0}, "codes is 0, but must be at least 1"),
        ({"hidden": (32, 0)}, r"hidden is \(32, 0\)"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"plain_epochs": 120}, "plain_epochs is 120 of 120 epochs"),
    ],
)
def test_settings_that_cannot_work_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        RQVAEConfig(**setting)
