"""Two views: one code tuple for text and behavior; the arithmetic of its parts."""

from math import exp, log

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from itemlm.tokenize.two_views import TEMPERATURE, Sizes, TwoViews, contrast


def views(**sizes):
    torch.manual_seed(0)
    return TwoViews(Sizes(text=4, behavior=3, hidden=5, latent=2, **sizes))


def test_contrast_asks_each_row_for_its_own():
    one = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    other = torch.tensor([[2.0, 0.0], [3.0, 4.0]])
    # Cosines: rows of one against rows of other.
    near, cosines = 1 / TEMPERATURE, ((1.0, 0.6), (0.0, 0.8))
    (a, b), (c, d) = [[near * x for x in row] for row in cosines]
    there = log(1 + exp(b - a)) + log(1 + exp(c - d))
    back = log(1 + exp(c - a)) + log(1 + exp(b - d))
    assert contrast(one, other).item() == pytest.approx((there + back) / 4, rel=1e-5)


def test_codes_are_the_nearest_words_to_what_is_left():
    model = views(levels=2, codes=2, commitment=0.25)
    with torch.no_grad():
        model.codebooks[0].copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        model.codebooks[1].copy_(torch.tensor([[0.0, 0.0], [0.0, -0.5]]))
    latent = torch.tensor([[0.1, 0.6]], requires_grad=True)
    words = model.quantize(latent)
    # (0.1, 0.6) is nearest to (0, 1), which leaves (0.1, -0.4): nearest to (0, -0.5).
    assert words.codes_BS.tolist() == [[1, 1]]
    assert words.sum_BH[0].tolist() == pytest.approx([0.0, 0.5])
    left = (0.1**2 + 0.4**2) + (0.1**2 + 0.1**2)
    assert words.loss.item() == pytest.approx(1.25 * left)
    words.sum_BH.sum().backward()  # straight through
    assert latent.grad.tolist() == [[1.0, 1.0]]


def test_codes_keep_what_stands_before_the_width():
    model = views(levels=2, codes=4)
    model.start_codebooks(torch.randn(40, 2), seed=0)
    latent = torch.randn(3, 5, 2)
    many, flat = model.quantize(latent), model.quantize(latent.view(15, 2))
    assert many.codes_BS.shape == (3, 5, 2)
    assert torch.equal(many.codes_BS.view(15, 2), flat.codes_BS)


def test_latents_of_both_views_have_length_one():
    for latent in views().latents(torch.randn(6, 4), torch.randn(6, 3)):
        assert latent.norm(dim=1).tolist() == pytest.approx([1.0] * 6)


def test_both_vectors_are_restored_from_one_latent():
    model = views(levels=1, codes=2)
    text, behavior = torch.randn(6, 4), torch.randn(6, 3)
    terms, latent = model.losses(text, behavior, quantized=False)
    missed = np.mean((text - model.text_decoder(latent)).detach().numpy() ** 2)
    missed += np.mean((behavior - model.behavior_decoder(latent)).detach().numpy() ** 2)
    assert terms["reconstruction"].item() == pytest.approx(missed, rel=1e-5)
    assert set(terms) == {"reconstruction", "alignment"}
    assert "quantization" in model.losses(text, behavior, quantized=True)[0]


def test_fewer_centers_than_codes_leave_codes_unused():
    model = views(levels=1, codes=8)
    latent = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    model.start_codebooks(latent, seed=0)
    codes = model.quantize(latent).codes_BS[:, 0].tolist()
    assert codes[0] == codes[2] != codes[1]
