"""LETTER: its two losses by hand, and what alignment does to codes."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from itemlm.tokenize.letter import LetterConfig, alignment, crowding, letter, mates
from itemlm.tokenize.rqvae import RQVAEConfig
from itemlm.types import ConfigError, DataError

SMALL = RQVAEConfig(
    levels=2, codes=8, hidden=(32,), latent=8, epochs=25, plain_epochs=5, batch_size=64,
    learning_rate=1e-2,
)  # fmt: skip


def test_alignment_by_hand():
    # q . h is 1 with its own vector and 0 with the other's; the third item is not known.
    words = torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    behavior = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert alignment(words, behavior).item() == pytest.approx(-log(exp(1) / (exp(1) + exp(0))))
    assert alignment(words, torch.zeros(3, 2)).item() == 0


def test_crowding_by_hand():
    # e0 . e1 = 1, e0 . e2 = 0; e0 itself is not compared. A codeword given itself says nothing.
    codebook = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    loss = crowding(codebook, torch.tensor([0, 2]), torch.tensor([1, 2]))
    assert loss.item() == pytest.approx(-log(exp(1) / (exp(1) + exp(0))))
    assert crowding(codebook, torch.tensor([2]), torch.tensor([2])).item() == 0


def test_mates_are_others_of_the_group():
    group_K = torch.tensor([0, 0, 1, 0])
    generator = torch.Generator().manual_seed(0)
    drawn = mates(torch.tensor([0] * 50 + [1, 2]), group_K, generator).tolist()
    assert set(drawn[:50]) == {1, 3}
    assert drawn[50] in (0, 3)
    assert drawn[51] == 2  # alone


def test_codes_learn_what_behavior_says():
    # Texts form 4 kinds; behavior splits each in the same two halves, of which texts say little.
    rng = np.random.default_rng(0)
    kind_N, half_N = rng.integers(4, size=400), rng.integers(2, size=400)
    clean_ND = np.hstack([np.eye(4)[kind_N], 0.25 * np.eye(2)[half_N], np.zeros((400, 6))])
    vectors_ND = clean_ND + 0.15 * rng.normal(size=(400, 12))

    def told_apart(weight):
        settings = replace(SMALL, levels=1, learning_rate=3e-3)
        config = LetterConfig(rqvae=settings, alignment=weight)
        code_N = letter(vectors_ND, np.eye(8)[2 * half_N], config).codes_NL[:, 0]
        halves = [np.bincount(half_N[code_N == code]).max() for code in set(code_N.tolist())]
        return sum(halves) / 400

    assert told_apart(3.0) > told_apart(0.0) + 0.05  # .81 and .74


def test_new_items_seeds_and_mistakes():
    rng = np.random.default_rng(0)
    vectors_ND, behavior_NH = rng.normal(size=(100, 6)), rng.normal(size=(100, 4))
    tokens = letter(vectors_ND, behavior_NH, LetterConfig(rqvae=SMALL), seed=1)
    again = letter(vectors_ND, behavior_NH, LetterConfig(rqvae=SMALL), seed=1)
    assert tokens.fingerprint == again.fingerprint
    assert np.array_equal(
        tokens.append(vectors_ND[:9]).semantic_codes[100:], tokens.semantic_codes[:9]
    )
    with pytest.raises(DataError, match="not vectors of shape \\(99, 4\\)"):
        letter(vectors_ND, behavior_NH[1:], LetterConfig(rqvae=SMALL))
    with pytest.raises(ConfigError, match="groups at least 1"):
        LetterConfig(groups=0)
