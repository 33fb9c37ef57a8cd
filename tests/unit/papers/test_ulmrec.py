"""ULMRec: an index for every history, letters that rank, and honest figures."""

from math import log

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import itemlm
from itemlm.papers.generative.ulmrec import NOBODY, Config, Lessons, user_name
from itemlm.types import ConfigError, Query

SMALL = {
    "levels": 2,
    "codes": 4,
    "candidates": 5,
    "width": 16,
    "blocks": 1,
    "heads": 2,
    "inner": 32,
    "vocabulary": 400,
    "length": 2,
    "words": 3,
    "alignment_epochs": 1,
    "epochs": 1,
}


@pytest.fixture(scope="module")
def world():
    return itemlm.world(users=80, items=30, seed=1)


@pytest.fixture(scope="module")
def model(world):
    return itemlm.fit("ulmrec", world.dataset, quiet=True, device="cpu", **SMALL)


def test_an_index_is_that_of_the_mean_of_what_was_taken(world, model):
    ids = world.dataset.items.ids.to_list()
    batch = world.dataset.batch([Query(history=ids[:3]), Query(), Query(user=1, history=ids[:3])])
    first, nobody, known = model.people.indices(batch)
    assert nobody == NOBODY
    assert first == known  # the same history, the same index, whoever it is
    vectors = model.people.vectors_ND[:3]
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(axis=0)
    assert first == user_name(model.people.quantizer.codes(mean[None])[0].tolist())
    assert user_name([3, 0]) == "<u1.3><u2.0>"


def test_the_prompt_has_index_titles_and_lettered_candidates(world, model):
    titles, ids = model.people.titles, world.dataset.items.ids.to_list()
    batch = world.dataset.batch([Query(history=ids[4:7]), Query()])
    (index, _) = model.people.indices(batch)
    pools = np.array([[7, 8, -1, -1, -1], [9, -1, -1, -1, -1]])
    assert model.questions(batch, pools) == [
        f"{index} took {titles[5]} ; {titles[6]} . next of {titles[7]} <A> {titles[8]} <B> :",
        f"{NOBODY} took nothing . next of {titles[9]} <A> :",
    ]


def test_letters_and_trust_decide_together(world, model, monkeypatch):
    """Score: log P(letter) - trust * log(rank)."""
    query = Query(history=world.dataset.items.ids.to_list()[:2])
    base = model.base.recommend(query, k=7).items
    chances = np.array([0.1, 0.15, 0.4, 0.3, 0.05])
    monkeypatch.setattr(model, "letter_scores", lambda batch, rows_BP: np.log(chances)[None])
    slate = model.recommend(query, k=7)
    # 0.1, 0.15 / 2, 0.4 / 3, 0.3 / 4 and 0.05 / 5, with the tie of 0.075 in the retriever's order.
    assert slate.items == [base[2], base[0], base[1], base[3], base[4], base[5], base[6]]
    assert slate.scores[0] == pytest.approx(log(0.4 / 3), rel=1e-5)
    assert slate.scores[-2:] == pytest.approx([log(0.01) - 1, log(0.01) - 2], rel=1e-5)
    assert model.recommend(query, k=2).items == [base[2], base[0]]


def test_letters_share_one_among_the_candidates_that_there_are(world, model):
    batch = world.dataset.batch([Query(history=world.dataset.items.ids.to_list()[:2])])
    log_BP = model.letter_scores(batch, np.array([[3, 4, 5, -1, -1]]))
    assert np.exp(log_BP[0, :3]).sum() == pytest.approx(1.0, rel=1e-5)
    assert np.isneginf(log_BP[0, 3:]).all()


def test_lessons_show_nothing_that_came_later(world, model):
    lessons = Lessons(model, world.dataset, seed=0)
    sequences = world.dataset.sequences
    for epoch in range(3):
        batch, targets = lessons.events(epoch)
        for place, user in enumerate(lessons.active.tolist()):
            whole = sequences.item_rows[sequences.offsets[user] : sequences.offsets[user + 1]]
            before = batch.item_rows[batch.offsets[place] : batch.offsets[place + 1]]
            assert 0 < len(before) < len(whole)
            assert whole[: len(before)].tolist() == before.tolist()
            assert whole[len(before)] == targets[place]


def test_the_answer_of_a_ranking_lesson_is_the_letter_of_the_target(world, model):
    lessons = Lessons(model, world.dataset, seed=0)
    asks, answers = lessons.ranking(0)
    _, targets = lessons.events(0)
    for ask, letter, target in zip(asks, answers, targets.tolist(), strict=True):
        assert f"{model.people.titles[target]} {letter}" in ask


def test_both_figures_are_told(world):
    split = world.dataset.split(itemlm.LeaveOneOut())
    settings = SMALL | {"candidates": 12}
    fitted = itemlm.fit(
        "ulmrec", split.train, validation=split.validation, quiet=True, device="cpu", **settings
    )
    told = fitted.card["NDCG@10 in validation"]
    assert 0 < told["share"] < 1
    # More candidates than places that count: nothing is won where the target is none of them.
    assert told["retriever, all"] == pytest.approx(told["share"] * told["retriever"])
    assert told["reranker, all"] == pytest.approx(told["share"] * told["reranker"])


def test_more_candidates_than_letters_is_a_sentence():
    with pytest.raises(ConfigError, match="candidates is 27, but each needs a letter"):
        Config(candidates=27)
