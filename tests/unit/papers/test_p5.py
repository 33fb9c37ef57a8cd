"""P5: one model for several families of prompts, and asking it in other words."""

import polars as pl
import pytest

pytest.importorskip("transformers")

import itemlm
from itemlm.papers.generative.p5 import Config
from itemlm.papers.prompting import question
from itemlm.types import ConfigError, Query, UnknownName

TINY = {
    "width": 16,
    "blocks": 1,
    "heads": 2,
    "inner": 16,
    "vocabulary": 400,
    "dropout": 0.0,
    "epochs": 1,
    "length": 4,
    "beams": 4,
}


def dataset(users=20):
    """Each user takes three of six items, and rates those with an even number 5, the others 1."""
    rows = [
        (f"u{u}", f"i{(u + s) % 6}", s, 1.0 if (u + s) % 2 else 5.0)
        for u in range(users)
        for s in range(3)
    ]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "value"], orient="row")
    return itemlm.Dataset.build(frame, name="tiny")


def test_families_that_the_data_cannot_fill_are_left_out_and_told(tmp_path):
    rated = itemlm.fit("p5", dataset(), quiet=True, device="cpu", **TINY).card["prompts"]
    assert rated["rating"] == "3 prompts"  # stars, is_it and opinion; the data has no titles
    assert rated["explanation"] == "left out: no event fills {explanation}, {feature}, {title}"
    reviews = tmp_path / "reviews.csv"
    reviews.write_text("user_id,item_id,review,summary\nu0,i0,it is good,good\n")
    told = itemlm.fit("p5", dataset(), quiet=True, device="cpu", reviews=str(reviews), **TINY)
    assert told.card["prompts"]["review"] == "4 prompts"


def test_it_learns_to_answer_other_questions_than_which_item():
    settings = {**TINY, "width": 32, "inner": 64, "epochs": 12, "learning_rate": 1e-2}
    model = itemlm.fit(
        "p5", dataset(60), quiet=True, device="cpu", sequential=1, direct=0, rating=10, **settings
    )
    names = [model.items.texts[row] for row in model.catalog.items.rows(["i0", "i1"])]
    asks = [f"does user_{user} like or dislike {name} ?" for user in range(60) for name in names]
    truth = ["like", "dislike"] * 60  # a rating is the item's here, whoever takes it
    right = [said == true for said, true in zip(model.answer(asks), truth, strict=True)]
    assert sum(right) > 0.9 * len(asks)


def test_a_fitted_model_can_be_asked_in_unseen_words():
    model = itemlm.fit("p5", dataset(), quiet=True, device="cpu", **TINY)
    batch = dataset().batch([Query(user="u3", history=["i1", "i2"]), Query()])
    first, second = (model.items.texts[row] for row in model.catalog.items.rows(["i1", "i2"]))
    assert model.questions(batch) == [
        f"user_{list(model.users.ids).index('u3')} took {first} {second} . next ?",
        "which item suits somebody ?",
    ]
    model.ask = question("p5", "continue", direct=False)
    assert model.questions(batch)[0].startswith("so far user_")
    assert model.questions(batch)[1].startswith(
        "so far somebody"
    )  # as no direct prompt was learned
    assert len(model.recommend(Query(user="u3", history=["i1"]), k=3)) == 3


def test_people_are_known_by_name_after_loading(tmp_path):
    model = itemlm.fit("p5", dataset(), quiet=True, device="cpu", **TINY)
    model.save(tmp_path / "model")
    loaded = itemlm.load_recommender(tmp_path / "model")
    asked = [Query(user="u3", history=["i1"]), Query(user="nobody we know", history=["i1"])]
    assert loaded.recommend(asked) == model.recommend(asked)
    assert loaded.recommend(asked)[0].scores != loaded.recommend(asked)[1].scores


def test_settings_that_cannot_work_are_sentences():
    with pytest.raises(UnknownName, match="no prompt for the next item 'nxt'"):
        Config(prompt="nxt")
    with pytest.raises(UnknownName, match="'choose'"):  # it needs candidates, so it cannot be used
        Config(prompt="choose")
    with pytest.raises(ConfigError, match="rating is -1"):
        Config(rating=-1)
