"""A search in words before a history: what it changes, and what it must not."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.code_transformer import DecoderOnly, Shape
from itemlm.nn.search_transformer import SearchTransformer
from itemlm.sample.next_items import SequenceBatch
from itemlm.sample.searches import SearchBatch

SHAPE = Shape(width=16, blocks=2, heads=2, head_width=8, inner=32, dropout=0.0)
CODES = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
NO_WORD = 3


def made() -> SearchTransformer:
    torch.manual_seed(0)
    return SearchTransformer(CODES, (2, 2), 5, SHAPE, words=NO_WORD).eval()


def histories(items: list[list[int]], targets: list[list[int]], lengths: list[int]):
    return SequenceBatch(torch.tensor(items), torch.tensor(lengths), torch.tensor(targets))


def test_without_a_search_it_is_a_plain_code_transformer() -> None:
    model = made()
    plain = DecoderOnly(CODES, (2, 2), 5, SHAPE).eval()
    plain.load_state_dict(
        {k: v for k, v in model.state_dict().items() if not k.startswith("search.")}
    )
    batch = histories([[0, 1], [2, 0]], [[1, 3], [3, -1]], [2, 1])
    silent = SearchBatch(batch, torch.full((2, 1), NO_WORD))
    for (logits, codes), (expected, right) in zip(model(silent), plain(batch), strict=True):
        assert torch.equal(codes, right)
        assert torch.allclose(logits, expected, atol=1e-6)
    read, _ = model.read(silent, 3)
    assert torch.allclose(read, plain.read(batch, 3)[0], atol=1e-6)


def test_padding_among_words_changes_nothing_and_words_do() -> None:
    model = made()
    batch = histories([[0, 1]], [[-1, -1]], [2])
    asked = [torch.tensor([words]) for words in ([1, 2], [1, 2, NO_WORD], [2], [NO_WORD])]
    short, padded, other, silent = (model.read(SearchBatch(batch, w), 3)[0] for w in asked)
    assert torch.allclose(short, padded, atol=1e-6)
    assert not torch.allclose(short, other, atol=1e-4)
    assert not torch.allclose(short, silent, atol=1e-4)


def test_a_search_teaches_its_answer_only() -> None:
    model = made()
    batch = histories([[0, 1], [2, 0]], [[1, 3], [3, -1]], [2, 1])
    words = torch.tensor([[0], [1]])
    # A history teaches every item, five of the two windows; a search the last of each, 3 and 3.
    learned = [codes.tolist() for _, codes in model(SearchBatch(batch, words, searching=True))]
    assert learned == [[1, 1], [1, 1]]
    plain = [codes.tolist() for _, codes in model(SearchBatch(batch, words))]
    assert plain == [[0, 0, 1, 1, 1], [0, 1, 1, 0, 1]]


def test_a_search_by_nobody_is_read_as_it_was_learned() -> None:
    model = made()
    words = torch.tensor([[0, 2]])
    learned = SearchBatch(histories([[3]], [[-1]], [0]), words, searching=True)
    (logits, codes), _ = model(learned)
    assert codes.tolist() == [1]  # the first code of item 3
    asked = SearchBatch(histories([[0]], [[-1]], [0]), words)
    assert torch.allclose(model.read(asked, 2)[0][0], logits, atol=1e-6)
