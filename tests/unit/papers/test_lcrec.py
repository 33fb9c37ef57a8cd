"""LC-Rec: codes are words, answers alone are learned, wishes are searches."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import itemlm
from itemlm.lm.models import Size, fresh
from itemlm.lm.spelling import code_texts, spelling
from itemlm.papers.generative.lcrec import START, Batches, Config, needed
from itemlm.types import ConfigError, Query

CODES = np.array([[0, 1], [0, 2], [1, 0]])
SMALL = {
    "levels": 2,
    "codes": 6,
    "width": 32,
    "blocks": 1,
    "heads": 2,
    "inner": 64,
    "vocabulary": 400,
    "length": 8,
    "beams": 10,
    "batch_size": 32,
    "learning_rate": 1e-2,
}


@pytest.fixture(scope="module")
def lm():
    texts = ["next of red ball codes : find"] * 3
    lm = fresh(texts, "causal", Size(width=16, heads=2, vocabulary=320), seed=0)
    lm.written = code_texts(CODES, lm)
    lm.add_tokens([START])
    return lm


def learned(lm, targets, ask, answer, sequential):
    """The tokens of the one example that have a label, as text."""
    batches = Batches(lm, spelling(lm.written, lm), Config(targets=targets))
    batch = batches([ask], [answer], [sequential])
    labels = batch.labels_BY[0][batch.labels_BY[0] >= 0].tolist()
    return lm.words.convert_ids_to_tokens(labels)


def test_codes_are_words_of_their_own(lm):
    assert lm.written == ["<0_0><1_1>", "<0_0><1_2>", "<0_1><1_0>"]
    ids = lm.token_ids(lm.written)
    assert [len(row) for row in ids] == [2, 2, 2]
    assert ids[0][0] == ids[1][0] != ids[2][0]


def test_at_every_position_all_codes_of_a_history_are_learned(lm):
    ask = f"next of {START}" + lm.written[0] + lm.written[2]
    every = learned(lm, "every", ask, lm.written[1], sequential=True)
    assert every == ["<0_0>", "<1_1>", "<0_1>", "<1_0>", "<0_0>", "<1_2>"]
    last = learned(lm, "last", ask, lm.written[1], sequential=True)
    assert last == ["<0_0>", "<1_2>"]


def test_of_other_tasks_the_answer_alone_is_learned(lm):
    ask = f"title next of {START}{lm.written[0]} :"
    said = learned(lm, "every", ask, "red ball", sequential=False)
    assert said[-1] == lm.words.eos_token
    assert lm.words.convert_tokens_to_string(said[:-1]).strip() == "red ball"
    assert learned(lm, "every", "codes of red ball :", lm.written[2], sequential=False) == [
        "<0_1>",
        "<1_0>",
    ]


def test_a_level_that_tells_nobody_apart_is_not_written():
    assert needed(np.array([[0, 1, 0], [0, 2, 0]])).tolist() == [[0, 1], [0, 2]]
    two_need_it = np.array([[0, 1, 0], [0, 1, 1]])
    assert needed(two_need_it).tolist() == two_need_it.tolist()
    assert needed(np.array([[0], [1]])).tolist() == [[0], [1]]
    ended = np.array([[0, 1, -1], [1, 1, 0]])
    assert needed(ended).tolist() == ended.tolist()


@pytest.fixture(scope="module")
def world():
    return itemlm.world(users=60, items=30, seed=1)


def test_a_wish_is_a_search(world):
    """Asked in words, the model is given the search prompt, with the history if there is one."""
    model = itemlm.fit("lcrec", world.dataset, quiet=True, device="cpu", **SMALL, epochs=1)
    batch = world.dataset.batch(
        [
            Query(history=world.dataset.items.ids.to_list()[:2]),
            Query(text="a comedy"),
            Query(history=world.dataset.items.ids.to_list()[:1], text="a comedy"),
        ]
    )
    read = model.prompts(batch, torch.device("cpu"))
    ids = [row[mask].tolist() for row, mask in zip(read.ids_BS, read.mask_BS, strict=True)]
    first, second = model.spelled.texts[:2]
    asked = [
        f"next of {START}{first}{second}",
        "find a comedy :",
        f"after {START}{first} find a comedy :",
    ]
    assert ids == model.lm.token_ids(asked)


def test_adapters_train_little_and_are_kept(world, tmp_path):
    pytest.importorskip("peft")
    model = itemlm.fit(
        "lcrec", world.dataset, quiet=True, device="cpu", **SMALL, epochs=1, tuning="lora", rank=2
    )
    trained = {name for name, part in model.lm.named_parameters() if part.requires_grad}
    assert any("lora" in name for name in trained)
    assert all("lora" in name or "embed" in name for name in trained)
    model.save(tmp_path / "model")
    again = itemlm.load_recommender(tmp_path / "model")
    history = world.dataset.items.ids.to_list()[:3]
    assert again.recommend(history, k=5) == model.recommend(history, k=5)


def test_settings_that_cannot_work_are_a_sentence():
    with pytest.raises(ConfigError, match="share is -1"):
        Config(share=-1)
    assert Config.as_published().targets == "last"
