"""PromptWriter, against a full forward pass of each prompt with each path, one at a time."""

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from test_models import SMALL, TEXTS, of_config, other_models

from itemlm.lm.examples import prompts
from itemlm.lm.language_model import LanguageModel
from itemlm.lm.models import fresh
from itemlm.lm.writer import PromptWriter
from itemlm.recommender import Catalog
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.types import ConfigError, QueryBatch

NAMES = ("causal", "seq2seq", "llama", "qwen3", "gpt2", "t5 v1.1", "bart")
PROMPTS = ["a red thing made of wood", "", "blue", "number 3 red red blue thing, of wood 12"]
SIZES = (4, 3, 3)
# Paths of one, two and three codes; none begins another's.
CODES = np.array(
    [(0, -1, -1), (1, 0, -1), (1, 1, 0), (1, 1, 2), (2, 0, 1), (2, 2, -1), (3, 1, 1), (3, 2, 0)]
)


@pytest.fixture(params=NAMES)
def writer(request):
    """A model whose prompts matter, with new tokens as codes."""
    if request.param in ("causal", "seq2seq"):
        lm = fresh(TEXTS, request.param, SMALL, seed=0)
    else:
        words = fresh(TEXTS, "causal", SMALL, seed=0).words
        lm = LanguageModel(of_config(other_models(words)[request.param]), words)
    new = torch.tensor(lm.add_tokens([f"<{code}>" for code in range(sum(SIZES))]))
    for part in lm.parameters():
        if part.ndim > 1:
            torch.nn.init.normal_(part, std=0.3, generator=torch.Generator().manual_seed(1))
    return PromptWriter(lm.eval(), new.split(SIZES))


def plain(writer, prompt, path):
    """Logits of the codes of every level after one path, by transformers' own forward pass."""
    lm = writer.language_model
    tokens = [int(writer.tokens(level)[code]) for level, code in enumerate(path)]
    ids_BS, _ = lm.tokenize([prompt], 50)
    if lm.is_seq2seq:
        answer = torch.tensor([[lm.start, *tokens]])
        logits = lm.model(input_ids=ids_BS, decoder_input_ids=answer).logits[0]
    else:
        whole = torch.cat([ids_BS, torch.tensor([tokens], dtype=torch.long)], 1)
        logits = lm.model(input_ids=whole).logits[0, ids_BS.shape[1] - 1 :]
    return [logits[level, writer.tokens(level)] for level in range(min(len(path) + 1, len(SIZES)))]


@torch.inference_mode()
def test_each_beam_gets_what_it_would_get_alone(writer):
    """Prompts of different lengths, beams that come and go, parents in any order."""
    batch = prompts(writer.language_model, PROMPTS, 50)
    logits_B1V, written = writer.read(batch, beams=5)
    first_BK = torch.tensor([[0, 1, 2, 3], [3, 3, 0, 1], [2, 1, 0, 0], [1, 0, 3, 2]])
    zeros_BK = torch.zeros_like(first_BK)
    first_logits_BKV = writer.write(written, zeros_BK, first_BK)
    parent_BK = torch.tensor([[3, 0, 0, 1, 2], [1, 0, 3, 2, 2], [0, 0, 0, 3, 1], [2, 1, 3, 0, 0]])
    second_BK = torch.tensor([[0, 1, 2, 2, 1], [2, 1, 0, 0, 1], [0, 1, 2, 2, 0], [1, 1, 0, 2, 0]])
    second_logits_BKV = writer.write(written, parent_BK, second_BK)
    seen = set()
    for query, prompt in enumerate(PROMPTS):
        for beam, parent in enumerate(parent_BK[query].tolist()):
            path = [int(first_BK[query, parent]), int(second_BK[query, beam])]
            expected = plain(writer, prompt, path)
            assert torch.allclose(logits_B1V[query, 0], expected[0], atol=2e-4)
            assert torch.allclose(first_logits_BKV[query, parent], expected[1], atol=2e-4)
            assert torch.allclose(second_logits_BKV[query, beam], expected[2], atol=2e-4)
            seen.add(round(float(expected[2].sum()), 3))
    assert len(seen) > 10  # the paths do differ


@torch.inference_mode()
def test_prompts_next_to_it_change_nothing(writer):
    batch = prompts(writer.language_model, PROMPTS, 50)
    alone = prompts(writer.language_model, PROMPTS[2:3], 50)
    codes_BK = torch.tensor([[2, 0, 1]])
    together, written = writer.read(batch, 3)
    single, written_alone = writer.read(alone, 3)
    assert torch.allclose(together[2], single[0], atol=1e-4)
    many = writer.write(written, torch.zeros(4, 3, dtype=torch.long), codes_BK.expand(4, -1))
    one = writer.write(written_alone, torch.zeros(1, 3, dtype=torch.long), codes_BK)
    assert torch.allclose(many[2], one[0], atol=1e-4)


def beam_over(writer, beams):
    """A search whose prompt of a query is its text."""
    return CodeBeam(
        "tiger",
        writer,
        CODES,
        Catalog(pl.DataFrame({"item_id": range(len(CODES))})),
        None,
        length=1,
        beams=beams,
        prompts=lambda batch, device: prompts(writer.language_model, batch.texts, 50).to(device),
    )


def test_beam_search_over_paths_of_different_lengths(writer):
    """With a beam for every item, the search is exhaustive scoring."""
    batch = QueryBatch(
        offsets=np.zeros(len(PROMPTS) + 1, dtype=np.int64),
        item_rows=np.empty(0, dtype=np.int64),
        user_rows=np.full(len(PROMPTS), -1),
        texts=PROMPTS,
    )
    rows_BK, scores_BK = beam_over(writer, beams=8).topk(batch, 8)
    for prompt, rows_K, scores_K in zip(PROMPTS, rows_BK, scores_BK, strict=True):
        expected_N = np.empty(len(CODES))
        for item, codes in enumerate(CODES):
            path = codes[codes >= 0].tolist()
            with torch.inference_mode():
                levels = plain(writer, prompt, path)[: len(path)]
            logs = [x.log_softmax(-1)[code] for x, code in zip(levels, path, strict=True)]
            expected_N[item] = sum(map(float, logs))
        assert scores_K == pytest.approx(np.sort(expected_N)[::-1], abs=1e-3)
        assert expected_N[rows_K] == pytest.approx(scores_K, abs=1e-3)
    narrow, _ = beam_over(writer, beams=2).topk(batch, 2)
    assert (narrow >= 0).all()


def test_a_prompt_beyond_a_sliding_window_is_a_sentence():
    words = fresh(TEXTS, "causal", SMALL, seed=0).words
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
    config = transformers.MistralConfig(
        vocab_size=len(words), pad_token_id=0, sliding_window=6, **sizes, **heads
    )
    lm = LanguageModel(of_config(config), words).eval()
    writer = PromptWriter(lm, torch.arange(8).split((4, 4)))
    writer.read(prompts(lm, ["red red red red"], 50), 2)
    with pytest.raises(ConfigError, match=r"looks back at 6 only\..*Limit prompts to 4 tokens"):
        writer.read(prompts(lm, ["red red red red red"], 50), 2)


def test_a_model_without_positions_is_refused():
    words = fresh(TEXTS, "causal", SMALL, seed=0).words
    config = transformers.MambaConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, state_size=4, pad_token_id=0
    )
    lm = LanguageModel(of_config(config), words)
    with pytest.raises(ConfigError, match="MambaModel does not take positions"):
        PromptWriter(lm, [torch.arange(4)])


def test_its_state_is_the_language_models(writer):
    names = list(writer.state_dict())
    assert names
    assert all(name.startswith("language_model.model.") for name in names)
