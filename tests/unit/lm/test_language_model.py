"""Language models as parts: tokens in, logits out, trained in part. No network."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from itemlm.lm.examples import answered, prompts, text_loss
from itemlm.lm.language_model import NEAR, NOTHING, padded
from itemlm.lm.models import Size, fresh
from itemlm.types import ConfigError

TEXTS = [f"{color} thing number {i}, made of wood" for i in range(40) for color in ("red", "blue")]
SMALL = Size(width=32, heads=2, inner=64, vocabulary=320, dropout=0.1)
KINDS = ("causal", "seq2seq")


@pytest.fixture(params=KINDS)
def lm(request):
    """A fresh model of either kind, answering."""
    return fresh(TEXTS, request.param, SMALL, seed=0)


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
    lm.spread = NEAR  # as in a pretrained model
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


def test_padded_rows():
    ids_BS, mask_BS = padded([[1, 2], [], [3]], 9, left=True)
    assert ids_BS.tolist() == [[1, 2], [9, 9], [9, 3]]
    assert mask_BS.tolist() == [[True, True], [False, False], [False, True]]
    assert padded([[1], [2, 3]], 9)[0].tolist() == [[1, 9], [2, 3]]
    assert NOTHING == -100


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_is_a_function_of_the_seed(kind):
    def added(seed, anything):
        lm = fresh(TEXTS, kind, SMALL, seed)
        torch.manual_seed(anything)
        (new,) = lm.add_tokens(["<new>"])
        lm.add_lora(2, alpha=4, dropout=0.0)
        adapters = [part for name, part in lm.named_parameters() if "lora_A" in name]
        return [lm.model.get_input_embeddings().weight[new], *adapters]

    once, again, other = added(1, 0), added(1, 9), added(2, 0)
    assert len(once) > 1
    assert all(torch.equal(one, two) for one, two in zip(once, again, strict=True))
    assert not any(torch.equal(one, two) for one, two in zip(once, other, strict=True))
