"""Plain attention gives what PyTorch's fused attention gives."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from itemlm.lm.examples import answered
from itemlm.lm.models import Size, fresh

TEXTS = ["the red ball", "a blue lamp and a red ball", "lamp"] * 4
SMALL = Size(width=16, blocks=2, heads=2, inner=32, vocabulary=320, dropout=0.0)


def gradients(implementation):
    lm = fresh(TEXTS, "causal", SMALL, seed=0)
    lm.model.set_attn_implementation(implementation)
    batch = answered(lm, TEXTS[:3], lm.token_ids(["ball", "red lamp", "the"]), limit=8)
    with torch.autocast("cpu", torch.bfloat16):
        logits_MV, targets_M = lm(batch)
    torch.nn.functional.cross_entropy(logits_MV.float(), targets_M).backward()
    return logits_MV.float(), lm.model.get_input_embeddings().weight.grad


def test_logits_and_gradients_are_those_of_the_fused_kernel():
    plain, fused = gradients("itemlm_plain"), gradients("sdpa")
    for mine, theirs in zip(plain, fused, strict=True):
        assert torch.isfinite(mine).all()
        assert torch.allclose(mine, theirs, atol=0.02 * theirs.abs().max().item())


def test_a_fresh_causal_model_uses_it():
    lm = fresh(TEXTS, "causal", SMALL, seed=0)
    assert lm.model.config._attn_implementation == "itemlm_plain"
