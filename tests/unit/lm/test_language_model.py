"""Language models as parts: tokens in, logits out, trained in part, kept whole. No network."""

import json
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from itemlm.lm import language_model as module
from itemlm.lm.examples import answered, prompts, text_loss
from itemlm.lm.language_model import Size, fresh, language_model, padded, pretrained, restored
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


def test_its_vocabulary_is_learned_from_the_texts(lm):
    assert len(lm.words) == 320
    assert lm.words.convert_ids_to_tokens([0, 1, 2]) == ["<pad>", "</s>", "<unk>"]
    assert lm.words.convert_ids_to_tokens(lm.token_ids(["red thing"])[0]) == ["Ġred", "Ġthing"]
    strange = "Ω 漢字 \U0001f600"  # bytes spell whatever no token does
    assert lm.words.decode(lm.token_ids([strange])[0]).strip() == strange


def test_texts_are_padded_where_no_answer_follows(lm):
    ids_BS, mask_BS = lm.tokenize(["red thing", "blue"], limit=9)
    red, thing, blue = lm.words.convert_tokens_to_ids(["Ġred", "Ġthing", "Ġblue"])
    if lm.is_seq2seq:
        assert ids_BS.tolist() == [[red, thing, 1], [blue, 1, 0]]
        assert mask_BS.tolist() == [[True, True, True], [True, True, False]]
    else:
        assert ids_BS.tolist() == [[red, thing], [0, blue]]
        assert mask_BS.tolist() == [[True, True], [False, True]]


def test_a_long_text_keeps_its_end(lm):
    ids_BS, mask_BS = lm.tokenize(["made of wood red thing"], limit=3)
    kept = lm.words.convert_ids_to_tokens(ids_BS[0])
    assert kept == (["Ġred", "Ġthing", "</s>"] if lm.is_seq2seq else ["Ġwood", "Ġred", "Ġthing"])
    assert mask_BS.all()


def test_a_mark_at_the_beginning_stays():
    words = fresh(TEXTS, "causal", SMALL, seed=0)
    words.words.bos_token = "Ġmade"
    assert words.words.convert_ids_to_tokens(words.tokenize(["made of wood red"], 2)[0][0]) == [
        "Ġmade",
        "Ġred",
    ]


def test_no_text_is_quite_empty(lm):
    ids_BS, mask_BS = lm.tokenize(["", "red"], limit=5)
    assert ids_BS[0][mask_BS[0]].tolist() == [lm.words.eos_token_id]
    assert lm.tokenize([], limit=5)[0].shape == (0, 1)


def test_new_tokens_begin_near_the_mean_of_the_others(lm):
    table = lm.model.get_input_embeddings().weight.detach().clone()
    ids = lm.add_tokens(["<a_1>", "<a_2>", "Ġred"])
    assert ids[:2] == [320, 321]
    assert ids[2] == lm.words.convert_tokens_to_ids("Ġred") < 320
    assert lm.token_ids(["red<a_2><a_1>"]) == [[ids[2], 321, 320]]
    after = lm.model.get_input_embeddings().weight
    assert torch.equal(after[:320], table)
    distance = (after[320:] - table.mean(0)) / table.std(0)
    assert 0.01 < distance.abs().mean() < 0.3
    assert not torch.equal(after[320], after[321])
    assert lm.model.get_output_embeddings().weight[321].equal(after[321])  # tied


def test_new_tokens_may_use_rows_that_a_table_has_to_spare():
    lm = fresh(TEXTS, "causal", SMALL, seed=0)
    lm.model.resize_token_embeddings(330)
    assert lm.add_tokens(["<x>"]) == [320]
    assert len(lm.model.get_input_embeddings().weight) == 330


def test_logits_stand_where_there_is_a_label():
    """Those of a causal model come from the token before; of the vocabulary or a part of it."""
    lm = fresh(TEXTS, "causal", SMALL, seed=0)
    (red,), (blue,) = lm.token_ids(["red", "blue"])
    batch = answered(lm, ["thing number", "wood"], [[red], [blue, 1]], limit=9)
    assert batch.labels_BY.tolist() == [[-100, -100, red], [-100, blue, 1]]
    logits_MV, targets_M = lm(batch)
    assert targets_M.tolist() == [red, blue, 1]
    whole = lm.model(input_ids=batch.ids_BS[:1]).logits[0]
    assert torch.allclose(logits_MV[0], whole[1], atol=1e-5)
    alone = lm.model(input_ids=batch.ids_BS[1:, :2]).logits[0]
    assert torch.allclose(logits_MV[1:], alone, atol=1e-5)
    state_D, tokens_V = torch.randn(32), torch.tensor([5, 300])
    assert torch.allclose(lm.logits(state_D, tokens_V), lm.logits(state_D)[tokens_V])


def test_a_seq2seq_model_learns_as_transformers_does():
    lm = fresh(TEXTS, "seq2seq", SMALL, seed=0)
    answers = [[*lm.token_ids(["red thing"])[0], 1], [5, 1]]
    batch = answered(lm, ["number 3", "of wood"], answers, limit=9)
    assert batch.labels_BY.tolist() == [answers[0], [5, 1, -100]]
    theirs = lm.model(
        input_ids=batch.ids_BS, attention_mask=batch.mask_BS.long(), labels=batch.labels_BY
    )
    assert text_loss()(lm, batch)["text"].item() == pytest.approx(theirs.loss.item(), abs=1e-5)
    assert torch.allclose(lm(batch)[0], theirs.logits[batch.labels_BY >= 0], atol=1e-5)


def test_the_loss_is_the_mean_over_labelled_tokens(lm):
    class Fixed(torch.nn.Module):
        def forward(self, batch):
            return torch.tensor([[0.0, 2.0], [1.0, 0.0]]), torch.tensor([1, 1])

    e = torch.e
    expected = -(torch.log(e**2 / torch.tensor(1 + e**2)) + torch.log(1 / torch.tensor(1 + e))) / 2
    assert float(text_loss()(Fixed(), None)["text"]) == pytest.approx(float(expected))
    nothing = prompts(lm, ["red"], 5)
    assert (nothing.labels_BY == -100).all()
    assert len(lm(nothing)[1]) == 0


@pytest.mark.parametrize("low_precision", [False, True])
def test_it_learns_whichever_the_precision(lm, low_precision):
    ids = lm.add_tokens(["<a>", "<b>"])
    batch = answered(lm, ["red thing", "blue thing"], [[ids[0], 1], [ids[1], 1]], limit=9)
    optim = torch.optim.AdamW(lm.train().parameters(), lr=1e-2)
    losses = []
    torch.manual_seed(0)
    for _ in range(30):
        with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
            loss = text_loss()(lm, batch)["text"]
        loss.backward()
        optim.step()
        optim.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_frozen_but_for_adapters_or_the_vocabulary(lm):
    lm.freeze()
    assert not [name for name, part in lm.named_parameters() if part.requires_grad]
    lm.train_vocabulary()
    trained = [name for name, part in lm.named_parameters() if part.requires_grad]
    assert trained == [
        "model.shared.weight" if lm.is_seq2seq else "model.model.embed_tokens.weight"
    ]


def test_adapters_change_nothing_until_they_learn(lm):
    pytest.importorskip("peft")
    batch = answered(lm, ["red thing"], [[5, 1]], limit=9)
    before = lm(batch)[0]
    lm.add_lora(rank=2, alpha=4, dropout=0.0)
    lm.eval()
    assert torch.allclose(lm(batch)[0], before, atol=1e-5)
    trained = [name for name, part in lm.named_parameters() if part.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    assert not any("lm_head" in name for name in trained)
    text_loss()(lm, batch)["text"].backward()
    with pytest.raises(ConfigError, match="adapters already"):
        lm.add_lora(rank=2, alpha=4, dropout=0.0)
    with pytest.raises(ConfigError, match="rank of LoRA is 0"):
        fresh(TEXTS, "causal", SMALL, seed=0).add_lora(rank=0, alpha=1, dropout=0)


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


def test_padded_rows():
    ids_BS, mask_BS = padded([[1, 2], [], [3]], 9, left=True)
    assert ids_BS.tolist() == [[1, 2], [9, 9], [9, 3]]
    assert mask_BS.tolist() == [[True, True], [False, False], [False, True]]
    assert padded([[1], [2, 3]], 9)[0].tolist() == [[1, 9], [2, 3]]
    assert module.NOTHING == -100
