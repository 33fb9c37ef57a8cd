"""Tasks in words: what each blank holds, who is asked what, and that nothing later leaks in."""

from random import Random

import numpy as np
import pytest

from itemlm.data.sequences import Sequences
from itemlm.sample.tasks import FIELDS, Family, Material, Moment, Tasks, filled
from itemlm.text.prompting import Prompt
from itemlm.types import DataError

# User 0 took items 0, 1, 2 and rated them 1, 5, 4; user 1 took item 3 and did not rate it.
SEQUENCES = Sequences(
    offsets=np.array([0, 3, 4]),
    item_rows=np.array([0, 1, 2, 3], dtype=np.int32),
    values=np.array([1, 5, 4, np.nan], dtype=np.float32),
)
ITEMS = [f"item_{n}" for n in range(5)]
NEXT = Prompt("next", "{user} took {history} . next ?", "{item}")
SUITS = Prompt("suits", "which suits {user} ?", "{item}")
STARS = Prompt("stars", "which rating does {user} give {item} ?", "{rating}")
WHY = Prompt("why", "why {item} ?", "{explanation}")


def material(**settings):
    return Material(
        sequences=SEQUENCES, users=["user_0", "user_1"], items=ITEMS, nobody="somebody", **settings
    )


def moment(place, user=0, seed=0, **settings):
    return Moment(material(**settings), user, place, Random(seed))


def value(field, *args, **settings):
    return FIELDS[field](moment(*args, **settings))


def test_a_prompt_is_filled_from_what_came_before():
    assert filled(NEXT, moment(2)) == ("user_0 took item_0 item_1 . next ?", "item_2")
    assert filled(NEXT, moment(2, length=1)) == ("user_0 took item_1 . next ?", "item_2")


def test_ratings_and_what_they_mean():
    assert [value("rating", place) for place in range(3)] == ["1", "5", "4"]
    # Ratings run from 1 to 5: liked from 1 + 0.75 * 4 = 4.
    assert [value("opinion", place) for place in range(3)] == ["dislike", "like", "like"]


def test_a_false_statement_is_answered_with_no():
    for seed in range(20):
        asked = moment(1, seed=seed)
        says_yes = FIELDS["verdict"](asked) == "yes"
        assert (FIELDS["guess"](asked) == "5") == says_yes
        assert (FIELDS["candidate"](asked) == "item_1") == says_yes
        assert FIELDS["candidate"](asked) not in ("item_0", "item_2")  # what the user did take


def test_candidates_hold_the_answer_and_nothing_else_that_was_taken():
    for seed in range(10):
        names = value("candidates", 1, seed=seed, candidates=3).split()
        assert len(names) == 3
        assert set(names) & {"item_0", "item_1", "item_2"} == {"item_1"}


def test_hidden_users_have_no_name():
    names = {value("user", 1, seed=seed, hidden=0.5) for seed in range(20)}
    assert names == {"user_0", "somebody"}
    assert {value("user", 1, seed=seed) for seed in range(20)} == {"user_0"}


def test_a_family_asks_about_events_that_fill_its_blanks():
    assert Family("sequential", [NEXT], material()).place_X.tolist() == [1, 2]
    assert Family("direct", [NEXT, SUITS], material()).place_X.tolist() == [0, 1, 2, 3]
    assert Family("rating", [STARS], material()).place_X.tolist() == [0, 1, 2]
    told = material(texts={"explanation": ["", "it is good", "", ""]})
    assert Family("explanation", [WHY], told).place_X.tolist() == [1]
    assert Family("explanation", [WHY], material()).place_X.tolist() == []


def test_only_prompts_that_fit_an_event_are_asked():
    family = Family("direct", [NEXT, SUITS], material())
    assert {family.prompt(0, Random(seed)).name for seed in range(20)} == {"suits"}
    assert {family.prompt(1, Random(seed)).name for seed in range(20)} == {"next", "suits"}


def test_unseen_prompts_are_not_drawn():
    kept = Prompt("kept", "{user} ?", "{item}", unseen=True)
    assert [prompt.name for prompt in Family("direct", [kept, SUITS], material()).prompts] == [
        "suits"
    ]


def tasks(**settings):
    families = [Family("sequential", [NEXT], material()), Family("direct", [SUITS], material())]
    return Tasks(
        families,
        [2, 1],
        material(),
        lambda asks, answers: list(zip(asks, answers, strict=True)),
        batch_size=3,
        seed=0,
        **settings,
    )


def test_an_epoch_asks_each_user_so_many_questions():
    source = tasks()
    asks, answers = source.examples(0)
    # User 1 has one event, so nothing comes before it: 2 questions on sequences, 2 direct ones.
    assert [ask.endswith("next ?") for ask in asks] == [True, True, False, False]
    assert set(answers[:2]) <= {"item_1", "item_2"}
    assert asks[2:] == ["which suits user_0 ?", "which suits user_1 ?"]
    assert source.steps == 2
    assert [len(batch) for batch in source.batches(0)] in ([3, 1], [1, 3])


def test_the_same_epoch_is_the_same_and_another_is_not():
    source = tasks()
    assert list(source.batches(3)) == list(source.batches(3))
    assert list(source.batches(3))[1:] == list(source.batches(3, skip=1))
    assert any(list(source.batches(3)) != list(source.batches(epoch)) for epoch in range(4, 8))


def test_nothing_to_ask_is_a_sentence():
    family = Family("rating", [WHY], material())
    with pytest.raises(DataError, match="there is nothing to ask"):
        Tasks([family], [1], material(), lambda *_: None, batch_size=2, seed=0)
