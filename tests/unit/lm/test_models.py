"""Making language models: fresh, from a folder, and back from what is kept. No network."""

import json
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from itemlm.lm.examples import answered
from itemlm.lm.models import Size, fresh, language_model, pretrained, restored
from itemlm.types import ConfigError, MissingExtra

TEXTS = [f"{color} thing number {i}, made of wood" for i in range(40) for color in ("red", "blue")]
SMALL = Size(width=32, heads=2, inner=64, vocabulary=320, dropout=0.1)
KINDS = ("causal", "seq2seq")


@pytest.fixture(params=KINDS)
def lm(request):
    """A fresh model of either kind, answering."""
    return fresh(TEXTS, request.param, SMALL, seed=0)


def state(lm, prefix="lm."):
    """Its weights as a recommender keeps them."""
    return {f"{prefix}{name}": part.numpy() for name, part in lm.state_dict().items()}


def test_a_fresh_model_is_a_function_of_texts_and_seed():
    one, same, other = (fresh(TEXTS, "causal", SMALL, seed=seed) for seed in (3, 3, 4))
    assert one.words.get_vocab() == same.words.get_vocab()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.model.lm_head.weight, other.model.lm_head.weight)
    before = torch.random.get_rng_state()
    fresh(TEXTS, "seq2seq", SMALL, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("adapted", [False, True])
def test_it_comes_back_from_what_is_kept(lm, adapted):
    lm.add_tokens(["<a_1>", "<a_2>"])
    if adapted:
        pytest.importorskip("peft")
        lm.add_lora(rank=2, alpha=4, dropout=0.1)
        for name, part in lm.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(part)
    lm.eval()
    documents = lm.documents()
    assert all(json.loads(text) is None or json.loads(text) for text in documents.values())
    again = restored(documents, state(lm) | {"else": state(lm)["lm.model.lm_head.weight"]}, "lm.")
    batch = answered(lm, ["red <a_2>thing", "blue"], [[5, 321], [1]], limit=9)
    same = answered(again, ["red <a_2>thing", "blue"], [[5, 321], [1]], limit=9)
    assert torch.equal(batch.ids_BS, same.ids_BS)
    assert torch.equal(lm(batch)[0], again(same)[0])
    assert not again.training


def folder(tmp_path, model, words):
    """A model saved as transformers does."""
    model.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    return str(tmp_path)


def other_models(words):
    """A few architectures that are not ours, all tiny and random."""
    sizes = {"vocab_size": len(words), "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 1}
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    t5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    bart = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32}
    bart |= {"decoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    gpt2 = {"n_embd": 16, "n_layer": 2, "n_head": 2}
    return {
        "llama": transformers.LlamaConfig(**sizes, **layers, **heads),
        "qwen3": transformers.Qwen3Config(**sizes, **layers, **heads, head_dim=8),
        "gpt2": transformers.GPT2Config(**sizes, **gpt2),
        "t5 v1.1": transformers.T5Config(
            **sizes,
            **t5,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            decoder_start_token_id=0,
        ),
        "bart": transformers.BartConfig(**sizes, **bart, decoder_start_token_id=1),
    }


def of_config(config):
    """A model with random weights, large enough that nothing cancels out."""
    auto = transformers.AutoModelForCausalLM
    if config.is_encoder_decoder:
        auto = transformers.AutoModelForSeq2SeqLM
    torch.manual_seed(0)
    model = auto.from_config(config)
    for part in model.parameters():
        if part.ndim > 1:
            torch.nn.init.normal_(part, std=0.3)
    return model


@pytest.mark.parametrize("name", ["llama", "qwen3", "gpt2", "t5 v1.1", "bart"])
def test_a_folder_needs_no_network(name, tmp_path):
    words = fresh(TEXTS, "causal", SMALL, seed=0).words
    theirs = of_config(other_models(words)[name]).eval()
    lm = pretrained(folder(tmp_path, theirs, words))
    assert not lm.training
    asked = {"decoder_input_ids": torch.tensor([[1, 7]])} if lm.is_seq2seq else {}
    ids = torch.tensor([[5, 6, 7]])
    assert torch.allclose(lm.model(input_ids=ids, **asked).logits, theirs(ids, **asked).logits)
    lm.add_tokens([f"<a_{i}>" for i in range(20)])
    again = restored(lm.documents(), state(lm), "lm.")
    batch = answered(lm, ["red thing", "blue"], [[5, 1], [325]], limit=9)
    assert torch.allclose(lm(batch)[0], again(batch)[0], atol=1e-5)


def test_a_name_or_folder_by_setting(tmp_path):
    words = fresh(TEXTS, "causal", SMALL, seed=0).words
    where = folder(tmp_path, of_config(other_models(words)["llama"]), words)
    asked = {"texts": TEXTS, "size": SMALL, "seed": 0}
    assert not language_model(where, kind="causal", **asked).is_seq2seq
    assert language_model("fresh", kind="seq2seq", **asked).is_seq2seq
    with pytest.raises(ConfigError, match="is a causal model, but a seq2seq one is needed"):
        language_model(where, kind="seq2seq", **asked)


def test_what_cannot_work_is_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="no language model could be loaded from"):
        pretrained(str(tmp_path))
    with pytest.raises(ConfigError, match=r"width 30 cannot be split evenly into 4 heads"):
        Size(width=30, heads=4)
    with pytest.raises(ConfigError, match="inner is 0"):
        Size(inner=0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="needs an NVIDIA GPU"):
        pretrained(str(tmp_path), four_bit=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError, match="pip install bitsandbytes"):
        pretrained(str(tmp_path), four_bit=True)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"pip install 'itemlm\[llm\]'"):
        fresh(TEXTS, "causal", SMALL, seed=0).add_lora(rank=2, alpha=2, dropout=0)
    monkeypatch.setitem(sys.modules, "transformers", None)
    for make in (
        lambda: fresh(TEXTS, "causal", SMALL, seed=0),
        lambda: pretrained(str(tmp_path)),
        lambda: restored({"lm_config": "{}"}, {}, ""),
    ):
        with pytest.raises(MissingExtra, match=r"pip install 'itemlm\[llm\]'"):
            make()


def test_logits_that_a_model_bends_are_refused(tmp_path):
    words = fresh(TEXTS, "causal", SMALL, seed=0).words
    config = transformers.Gemma2Config(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=0.5,
        pad_token_id=0,
    )
    with pytest.raises(ConfigError, match="changes its logits after the output layer"):
        pretrained(folder(tmp_path, of_config(config), words))
