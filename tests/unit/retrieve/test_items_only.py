"""The trie as a logits processor: `generate` writes items only, and ranks them as CodeBeam does."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from itemlm.recommender import Catalog
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.retrieve.items_only import ItemsOnly
from itemlm.types import ConfigError, DataError, QueryBatch

# Three items of one to three codes; code c of level l is token 10 * (l + 1) + c.
CODES = np.array([(0, 1, 0), (0, 2, -1), (1, -1, -1)])
TOKENS = [[10, 11], [20, 21, 22], [30]]
END, VOCABULARY = 1, 32
ROW = torch.arange(VOCABULARY) / 10  # logits


def after(tokens, items_only):
    """What may be written after these tokens, and with which log-probability."""
    ids = torch.tensor([[5, *tokens]])
    (out_V,) = items_only(ids, ROW[None])
    return {token: out for token, out in enumerate(out_V.tolist()) if out > -np.inf}


def log_softmax(token, among):
    """By hand."""
    return float(ROW[token] - torch.log(torch.exp(ROW[among]).sum()))


def batch(histories, **changes):
    """Queries from lists of item rows."""
    return QueryBatch(
        offsets=np.cumsum([0, *map(len, histories)]),
        item_rows=np.array([row for history in histories for row in history], dtype=np.int64),
        user_rows=np.full(len(histories), -1),
        **changes,
    )


def test_only_what_leads_to_an_item():
    items_only = ItemsOnly(CODES, TOKENS, end=END).after(1)
    first = {10: log_softmax(10, [10, 11]), 11: log_softmax(11, [10, 11])}
    assert after([], items_only) == pytest.approx(first)
    second = {21: log_softmax(21, [20, 21, 22]), 22: log_softmax(22, [20, 21, 22])}
    assert after([10], items_only) == pytest.approx(second)
    assert after([10, 21], items_only) == {30: 0.0}  # the only code of its level
    for path in ([11], [10, 22], [10, 21, 30]):  # an item is written: its end costs nothing
        assert after(path, items_only) == {END: 0.0}
        assert after([*path, END, 0, 0], items_only) == {END: 0.0}  # and then padding
    assert after([7], items_only) == {END: 0.0}  # no item begins so


def test_filters_and_seen_items_are_closed_for_each_query():
    items_only = ItemsOnly(CODES, TOKENS, end=END)
    allowed_BN = np.array([[True, True, False], [True, True, True], [False, True, True]])
    three = items_only.after(0, batch([[0], [2], []], allowed_BN=allowed_BN))
    empty = torch.empty(6, 0, dtype=torch.long)  # two rows of each query
    out_RV = three(empty, ROW.expand(6, -1))
    found = [np.flatnonzero(out_V > -np.inf).tolist() for out_V in out_RV]
    assert found == [[10], [10], [10], [10], [10, 11], [10, 11]]
    out_RV = three(torch.full((3, 1), 10), ROW.expand(3, -1))
    found = [np.flatnonzero(out_V > -np.inf).tolist() for out_V in out_RV]
    assert found == [[22], [21, 22], [22]]
    again = three.after(0, batch([[0]], exclude_seen=False))
    assert np.flatnonzero(again(empty[:1], ROW[None])[0] > -np.inf).tolist() == [10, 11]


def test_rows_that_have_come_to_different_places():
    items_only = ItemsOnly(CODES, TOKENS, end=END)
    written = [[10], [], [10, 21, 30], [10], [11]]
    together = items_only.each(written, ROW.expand(5, -1))
    for tokens, out_V in zip(written, together, strict=True):
        alone = items_only(torch.tensor([tokens], dtype=torch.long), ROW[None])[0]
        assert torch.equal(out_V, alone)
    with pytest.raises(ConfigError, match="which row is whose"):
        items_only.after(0, batch([[], []])).each(written, ROW.expand(5, -1))


def test_sequences_as_items():
    items_only = ItemsOnly(CODES, TOKENS, end=END).after(1)
    whole = torch.tensor([[5, 10, 21, 30, END], [5, 11, END, 0, 0], [5, 10, 22, END, 0]])
    assert items_only.rows(whole).tolist() == [0, 2, 1]
    assert items_only.rows(whole[1:, :2]).tolist() == [2, -1]
    assert items_only.rows(torch.tensor([[5, 10, 20, 30], [5, 30, 10, 9]])).tolist() == [-1, -1]


def test_what_cannot_work_is_a_sentence():
    items_only = ItemsOnly(CODES, TOKENS, end=END)
    with pytest.raises(DataError, match=r"query 1 \(counted from 0\) has no item left"):
        items_only.after(1, batch([[0], [0, 1, 2]]))
    with pytest.raises(DataError, match="query 0"):
        items_only.after(1, batch([[]], allowed_N=np.zeros(3, dtype=bool)))
    with pytest.raises(ConfigError, match="paths have 3 levels, but tokens are given for 2"):
        ItemsOnly(CODES, TOKENS[:2], end=END)


# --- Under transformers' generate --------------------------------------------------------------

ITEMS, SIZES = 40, (4, 5, 3)
PROMPTS = ["a red thing made of wood", "blue", "number 3 red red blue thing, of wood"]
ALL = np.stack(np.meshgrid(*map(np.arange, SIZES)), -1).reshape(-1, len(SIZES))
ALIKE = np.random.default_rng(1).permutation(ALL)[:ITEMS]  # paths of the same length
# Paths of one to three codes: those with first code 0 end there, with second code 0 there.
UNEQUAL = ALIKE.copy()
UNEQUAL[UNEQUAL[:, 1] == 0, 2] = -1
UNEQUAL[UNEQUAL[:, 0] == 0, 1:] = -1
UNEQUAL = np.unique(UNEQUAL, axis=0)


@pytest.fixture(params=["causal", "seq2seq"])
def writer(request):
    """A language model with random weights and item codes as new tokens."""
    pytest.importorskip("transformers")
    from itemlm.lm.models import Size, fresh
    from itemlm.lm.writer import PromptWriter

    texts = [f"{color} thing number {i}, made of wood" for i in range(40) for color in ("red", "b")]
    size = Size(width=32, heads=2, inner=64, vocabulary=300)
    lm = fresh(texts, request.param, size, seed=0)
    new = torch.tensor(lm.add_tokens([f"<{code}>" for code in range(sum(SIZES))]))
    dice = torch.Generator().manual_seed(1)
    for part in lm.parameters():
        if part.ndim > 1:
            torch.nn.init.normal_(part, std=0.3, generator=dice)
    return PromptWriter(lm.eval(), new.split(SIZES))


def queries(**changes):
    """One query per prompt, each with a history."""
    return batch([[0, 1], [], [5, 6, 7]], texts=PROMPTS, **changes)


def searched(writer, codes_NL, asked, beams):
    """Our own lists."""
    from itemlm.lm.examples import prompts

    beam = CodeBeam(
        "tiger",
        writer,
        codes_NL,
        Catalog(pl.DataFrame({"item_id": range(len(codes_NL))})),
        None,
        length=1,
        beams=beams,
        prompts=lambda batch, device: prompts(writer.language_model, batch.texts, 50),
    )
    return beam.topk(asked, beams)


def generated(writer, codes_NL, asked, **how):
    """The items that transformers writes, and the scores of its beams."""
    lm = writer.language_model
    tokens_by_level = [writer.tokens(level) for level in range(len(SIZES))]
    ids_BS, mask_BS = lm.tokenize(PROMPTS, 50)
    start = 1 if lm.is_seq2seq else ids_BS.shape[1]
    items_only = ItemsOnly(codes_NL, tokens_by_level, end=lm.words.eos_token_id)
    items_only = items_only.after(start, asked)
    out = lm.model.generate(
        input_ids=ids_BS,
        attention_mask=mask_BS.long(),
        logits_processor=[items_only],
        max_new_tokens=len(SIZES) + 1,
        return_dict_in_generate=True,
        output_scores=True,
        **how,
    )
    rows_BK = items_only.rows(out.sequences).reshape(len(PROMPTS), -1)
    return rows_BK, getattr(out, "sequences_scores", None)


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize(("codes_NL", "beams"), [(ALIKE, 6), (ALIKE, 20), (UNEQUAL, len(UNEQUAL))])
def test_beams_of_transformers_give_our_lists(writer, codes_NL, beams, filtered):
    """Alike where paths have one length; else where there is a beam for every item."""
    asked = queries(exclude_seen=filtered)
    if filtered:
        own = np.random.default_rng(4).random((len(PROMPTS), len(codes_NL))) < 0.8
        asked = replace(asked, allowed_BN=own)
    ours_BK, scores_BK = searched(writer, codes_NL, asked, beams)
    most = int((ours_BK >= 0).sum(1).min())
    how = {"num_beams": beams, "num_return_sequences": most, "length_penalty": 0.0}
    rows_BK, theirs = generated(writer, codes_NL, asked, do_sample=False, **how)
    assert rows_BK.tolist() == ours_BK[:, :most].tolist()
    assert theirs.reshape(rows_BK.shape).numpy() == pytest.approx(scores_BK[:, :most], abs=1e-4)


@pytest.mark.parametrize("codes_NL", [ALIKE, UNEQUAL])
def test_the_greedy_item_is_the_first_of_one_beam(writer, codes_NL):
    rows_BK, _ = generated(writer, codes_NL, queries(), do_sample=False, num_beams=1)
    assert rows_BK.tolist() == searched(writer, codes_NL, queries(), 1)[0].tolist()


@pytest.mark.parametrize("codes_NL", [ALIKE, UNEQUAL])
def test_samples_are_items_that_may_be_recommended(writer, codes_NL):
    torch.manual_seed(0)
    allowed_BN = np.random.default_rng(5).random((len(PROMPTS), len(codes_NL))) < 0.5
    asked = queries(allowed_BN=allowed_BN)
    how = {"do_sample": True, "temperature": 2.0, "top_k": 0, "num_return_sequences": 30}
    rows_BK, _ = generated(writer, codes_NL, asked, **how)
    for query, rows_K in enumerate(rows_BK):
        seen = set(asked[query : query + 1].item_rows.tolist())
        assert set(rows_K) <= set(np.flatnonzero(allowed_BN[query])) - seen
        assert len(set(rows_K)) > 3


@pytest.mark.parametrize(
    "tokens", [[[5, 6], [7]], [[5, 5], [7, 8]], [[5, 6], [7, 2]]], ids=["few", "twice", "end"]
)
def test_every_code_needs_a_token_of_its_own(tokens):
    with pytest.raises(ConfigError, match="needs a token of its own for each of its 2 codes"):
        ItemsOnly(np.array([[0, 0], [1, 1]]), tokens, end=2)
