"""Splits by hand: who is trained on, what is asked, what may be read, and what ties do to it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from itemlm.data.dataset import Dataset
from itemlm.data.held_out import HeldOut
from itemlm.data.sequences import Sequences
from itemlm.data.splits import (
    ColdItems,
    GlobalTemporal,
    LeaveOneOut,
    Protocol,
    UserHoldout,
    hold_out_last,
)
from itemlm.data.ties import tied_events
from itemlm.types import ConfigError, DataError


def dataset_of(histories: dict[str, str], times: dict[str, list[int]] | None = None) -> Dataset:
    """One user per entry with one letter per event; a catalog of the letters a to h."""
    log = pl.DataFrame(
        [(user, item) for user, items in histories.items() for item in items],
        schema=["user_id", "item_id"],
        orient="row",
    )
    if times is not None:
        moments = [moment for user in histories for moment in times[user]]
        log = log.with_columns(timestamp=pl.Series(moments))
    return Dataset.build(log, pl.DataFrame({"item_id": list("abcdefgh")}), name="hand")


def asked(dataset: Dataset, part: HeldOut) -> dict[str, tuple[str, str]]:
    """User to (history, answers), as letters."""
    questions = {}
    for place, user in enumerate(part.queries.user_rows):
        read = part.queries.item_rows[part.queries.offsets[place] : part.queries.offsets[place + 1]]
        answers = part.target_rows[part.target_offsets[place] : part.target_offsets[place + 1]]
        name = str(dataset.users.ids[int(user)])
        questions[name] = (letters(dataset, read), letters(dataset, answers))
    return questions


def letters(dataset: Dataset, rows: object) -> str:
    return "".join(str(item) for item in dataset.items.ids_of(np.asarray(rows)))


def trained(dataset: Dataset) -> dict[str, str]:
    return {str(user): "".join(map(str, dataset.query(user).history)) for user in dataset.users.ids}


# --- Leave one out --------------------------------------------------------------------------------


def test_leave_one_out_asks_for_the_last_two_events() -> None:
    dataset = dataset_of({"ann": "abcd", "ben": "dcb", "cem": "ab"})
    train, validation, test = dataset.split(LeaveOneOut())
    # Cem has too few events to be asked about: he is trained on as he is.
    assert trained(train) == {"ann": "ab", "ben": "d", "cem": "ab"}
    assert asked(dataset, validation) == {"ann": ("ab", "c"), "ben": ("d", "c")}
    # The validation event comes before the test event, so the test question may read it.
    assert asked(dataset, test) == {"ann": ("abc", "d"), "ben": ("dc", "b")}
    assert (validation.part, test.part) == ("validation", "test")
    # a: Ann and Cem, b: Ann and Cem, d: Ben.
    assert test.train_counts_N.tolist() == [2, 2, 0, 1, 0, 0, 0, 0]
    assert train.notes[-1] == f"train part: {test.protocol}"


def test_min_events_sets_who_is_asked() -> None:
    dataset = dataset_of({"ann": "abcd", "ben": "dcb"})
    split = dataset.split(LeaveOneOut(min_events=4))
    assert list(asked(dataset, split.test)) == ["ann"]
    assert trained(split.train) == {"ann": "ab", "ben": "dcb"}
    with pytest.raises(ConfigError, match="min_events is 2, but a user needs at least 3 events"):
        LeaveOneOut(min_events=2)
    with pytest.raises(DataError, match="no user of 'hand' has 5 events"):
        dataset.split(LeaveOneOut(min_events=5))


def test_without_timestamps_the_given_order_is_kept_and_told() -> None:
    dataset = dataset_of({"ann": "abcd", "ben": "dcb"})
    test = dataset.split(LeaveOneOut(seed=5)).test
    assert asked(dataset, test)["ann"] == ("abc", "d")
    assert test.tie_share is None
    assert test.protocol == (
        "leave-one-out over users with 3 events or more, ties unknown (no timestamps), "
        "order as given"
    )


# --- Ties -----------------------------------------------------------------------------------------

TIED = {"ann": [1, 2, 2, 2], "ben": [1, 2, 3, 3], "cem": [1, 2, 3, 4], "dan": [1, 1, 1, 2]}
HISTORIES = dict.fromkeys(TIED, "abcd")


def test_tie_share_counts_answers_that_tie_with_the_event_before() -> None:
    _, validation, test = dataset_of(HISTORIES, TIED).split(LeaveOneOut())
    # Third events tie with the second for Ann (2, 2) and Dan (1, 1).
    assert validation.tie_share == 2 / 4
    # Fourth events tie with the third for Ann (2, 2) and Ben (3, 3).
    assert test.tie_share == 2 / 4


def test_as_given_keeps_ties_in_order() -> None:
    dataset = dataset_of(HISTORIES, TIED)
    test = dataset.split(LeaveOneOut(ties="as_given")).test
    assert set(asked(dataset, test).values()) == {("abc", "d")}
    assert (
        test.protocol == "leave-one-out over users with 3 events or more, ties in the order given"
    )


def test_ties_are_shuffled_by_seed_and_only_ties() -> None:
    dataset = dataset_of(HISTORIES, TIED)
    answers: dict[str, set[str]] = {user: set() for user in TIED}
    for seed in range(50):
        test = dataset.split(LeaveOneOut(seed=seed)).test
        words = "leave-one-out over users with 3 events or more, ties shuffled with seed"
        assert test.protocol == f"{words} {seed}"
        for user, (read, answer) in asked(dataset, test).items():
            assert sorted(read + answer) == list("abcd")
            answers[user].add(answer)
    # Ann's last three events tie (b c d), Ben's last two (c d); Cem's and Dan's last stand alone.
    assert answers == {"ann": set("bcd"), "ben": set("cd"), "cem": {"d"}, "dan": {"d"}}


def test_one_seed_gives_one_split() -> None:
    dataset = dataset_of(HISTORIES, TIED)
    first, again = (dataset.split(LeaveOneOut(seed=3)) for _ in range(2))
    assert first.test.fingerprint == again.test.fingerprint
    assert trained(first.train) == trained(again.train)


def test_every_order_of_a_tie_is_equally_likely() -> None:
    histories = {f"u{n:04}": "ab" + "c" for n in range(3000)}
    dataset = dataset_of(histories, {user: [1, 1, 1] for user in histories})
    answers = [answer for _, answer in asked(dataset, dataset.split(LeaveOneOut()).test).values()]
    # 3,000 draws of one in three: a standard deviation is sqrt(3000 * 1/3 * 2/3) = 26.
    for item in "abc":
        assert abs(answers.count(item) - 1000) < 4 * 26


def test_tied_events_are_marked_within_users_only() -> None:
    sequences = dataset_of({"ann": "abc", "ben": "abc"}, {"ann": [1, 2, 2], "ben": [2, 3, 4]})
    assert tied_events(sequences.sequences) is not None
    # Ann's last event and Ben's first share a moment, but not a history.
    assert list(tied_events(sequences.sequences)) == [False, True, True, False, False, False]  # type: ignore[arg-type]
    assert tied_events(dataset_of({"ann": "abc"}).sequences) is None
    nothing = Sequences(
        offsets=np.array([0]), item_rows=np.array([]), timestamps=np.array([], dtype=np.int64)
    )
    assert tied_events(nothing) is not None


# --- Global temporal ------------------------------------------------------------------------------

# Ten events at moments 0 to 9. With shares of 0.2 and 0.2 the quantiles 0.6 and 0.8 of the moments
# are 0.6 * 9 = 5.4 and 0.8 * 9 = 7.2, so 6 and 8 as the next moments above: train 0-5,
# validation 6-7, test 8-9.
CLOCK = {"ann": [0, 1, 6, 7], "ben": [2, 3, 4, 8, 9], "cem": [5]}
CLOCKED = {"ann": "abcd", "ben": "abcde", "cem": "h"}


def test_global_temporal_never_looks_ahead() -> None:
    dataset = dataset_of(CLOCKED, CLOCK)
    protocol = GlobalTemporal(validation_share=0.2, test_share=0.2)
    train, validation, test = dataset.split(protocol)
    assert trained(train) == {"ann": "ab", "ben": "abc", "cem": "h"}
    assert asked(dataset, validation) == {"ann": ("ab", "c")}
    assert asked(dataset, test) == {"ben": ("abc", "d")}
    assert train.sequences.timestamps is not None
    assert train.sequences.timestamps.max() == 5


def test_global_temporal_can_ask_for_the_whole_window() -> None:
    dataset = dataset_of(CLOCKED, CLOCK)
    protocol = GlobalTemporal(validation_share=0.2, test_share=0.2, targets="all")
    _, validation, test = dataset.split(protocol)
    assert asked(dataset, validation) == {"ann": ("ab", "cd")}
    assert asked(dataset, test) == {"ben": ("abc", "de")}
    assert "all target" in test.protocol


def test_global_temporal_reads_the_validation_window_before_the_test_window() -> None:
    clock = {"ann": [0, 1, 6, 8], "ben": [2, 3, 4, 5, 7, 9]}
    dataset = dataset_of({"ann": "abcd", "ben": "abcdef"}, clock)
    protocol = GlobalTemporal(validation_share=0.2, test_share=0.2)
    assert asked(dataset, dataset.split(protocol).test) == {
        "ann": ("abc", "d"),
        "ben": ("abcde", "f"),
    }


def test_global_temporal_keeps_one_moment_together() -> None:
    # Moments 4 to 9 all are 4: the quantiles fall on it, so that all of it is test.
    clock = {"ann": [0, 1, 4, 4, 4], "ben": [2, 3, 4, 4, 4]}
    dataset = dataset_of({"ann": "abcde", "ben": "abcde"}, clock)
    with pytest.raises(DataError, match="events both before and inside the validation window"):
        dataset.split(GlobalTemporal(validation_share=0.2, test_share=0.2))


def test_global_temporal_needs_time_and_sensible_shares() -> None:
    with pytest.raises(DataError, match="'hand' has no timestamps, which a global temporal split"):
        dataset_of({"ann": "abc"}).split(GlobalTemporal())
    with pytest.raises(ConfigError, match="both must be positive, and their sum below 1"):
        GlobalTemporal(validation_share=0.5, test_share=0.5)


# --- User hold-out --------------------------------------------------------------------------------

MANY = {f"u{n}": "abcdefgh"[n % 4 : n % 4 + 3] for n in range(10)} | {"single": "h"}


def test_held_out_users_are_never_trained_on() -> None:
    dataset = dataset_of(MANY)
    train, validation, test = dataset.split(UserHoldout(validation_share=0.2, test_share=0.3))
    asked_validation, asked_test = asked(dataset, validation), asked(dataset, test)
    # 10 users have two events or more: 2 of them validate and 3 test.
    assert (len(asked_validation), len(asked_test)) == (2, 3)
    assert not set(asked_validation) & set(asked_test)
    for user, history in trained(train).items():
        held = user in asked_validation or user in asked_test
        assert history == ("" if held else MANY[user])
    for user, (read, answer) in (asked_validation | asked_test).items():
        assert read + answer == MANY[user]
        assert len(answer) == 1


def test_the_seed_chooses_the_users() -> None:
    dataset = dataset_of(MANY)
    chosen = {
        tuple(asked(dataset, dataset.split(UserHoldout(test_share=0.3, seed=seed)).test))
        for seed in range(10)
    }
    assert len(chosen) > 1
    first, again = (dataset.split(UserHoldout(seed=1)).test.fingerprint for _ in range(2))
    assert first == again


def test_user_holdout_needs_enough_users() -> None:
    with pytest.raises(DataError, match="'hand' has 2 users with two events or more, too few"):
        dataset_of({"ann": "ab", "ben": "ab"}).split(UserHoldout())
    with pytest.raises(ConfigError, match="both must be positive, and their sum below 1"):
        UserHoldout(validation_share=0.0, test_share=0.0)


# --- Cold items -----------------------------------------------------------------------------------


def test_a_new_item_has_no_event_but_as_a_test_answer() -> None:
    histories = {"ann": "abch", "ben": "hbcd", "cem": "ahbc", "dan": "dh", "eva": "hah", "fay": "h"}
    dataset = dataset_of(histories)
    for seed in range(20):
        train, validation, test = dataset.split(ColdItems(share=0.2, seed=seed))
        if test.train_counts_N[7]:
            continue  # 0.2 of five items is one, and this seed drew another than h
        # Dan and Eva are left with one event and the answer, too few to be asked: both lose the h.
        left = {"ann": "ab", "ben": "b", "cem": "a", "dan": "d", "eva": "a", "fay": ""}
        assert trained(train) == left
        answers = {"ann": ("ab", "c"), "ben": ("b", "c"), "cem": ("a", "b")}
        assert asked(dataset, validation) == answers
        # Ann's last event is an h and stays as the answer; Cem's and Ben's are gone.
        assert asked(dataset, test) == {"ann": ("abc", "h"), "ben": ("bc", "d"), "cem": ("ab", "c")}
        assert test.protocol == (
            "leave-one-out over users with 3 events or more, "
            f"1 of 5 items new by seed {seed}, ties unknown (no timestamps), order as given"
        )
        break
    else:
        pytest.fail("no seed drew h")


def test_new_items_are_drawn_among_items_with_events() -> None:
    histories = {f"u{n}": "abcdefg"[n % 4 :] for n in range(12)}  # nobody took h
    for seed in range(10):
        test = dataset_of(histories).split(ColdItems(share=0.3, seed=seed)).test
        assert "2 of 7 items new" in test.protocol  # 0.3 * 7 = 2.1
        # Everybody ends with g, which stays the answer where it is new, and where others are.
        assert set(test.target_rows.tolist()) == {6}
        assert (test.train_counts_N[:7] == 0).sum() >= 2


def test_cold_items_need_a_share_that_is_one() -> None:
    with pytest.raises(ConfigError, match=r"share is 1\.5"):
        ColdItems(share=1.5)
    with pytest.raises(ConfigError, match="min_events is 1"):
        ColdItems(min_events=1)
    with pytest.raises(DataError, match=r"1.00% of the 3 items of 'hand' that have events is none"):
        dataset_of({"ann": "abc"}).split(ColdItems(share=0.01))


# --- Held out for early stopping ------------------------------------------------------------------


def test_hold_out_last_takes_one_event_of_half_of_those_with_three() -> None:
    histories = {"ann": "abc", "ben": "bcd", "cem": "cdef", "dan": "ab"}
    dataset = dataset_of(
        histories, {user: list(range(4))[: len(h)] for user, h in histories.items()}
    )
    train, validation = hold_out_last(dataset)
    questions = asked(dataset, validation)
    assert len(questions) == 2  # half of Ann, Ben and Cem, rounded up
    assert "dan" not in questions
    assert trained(train) == {
        user: questions[user][0] if user in questions else history
        for user, history in histories.items()
    }
    assert all(read + answer == histories[user] for user, (read, answer) in questions.items())
    assert len(hold_out_last(dataset, questions=1)[1]) == 1
    with pytest.raises(DataError, match="no user of 'hand' has three events"):
        hold_out_last(dataset_of({"ann": "ab", "ben": "ab"}))


# --- Held-out parts -------------------------------------------------------------------------------


def test_the_fingerprint_of_a_part_changes_with_a_question_or_an_answer() -> None:
    base = {"ann": "abcd", "ben": "dcba"}
    test = dataset_of(base).split(LeaveOneOut()).test
    assert test.fingerprint == dataset_of(base).split(LeaveOneOut()).test.fingerprint
    for other in ("abce", "abed", "ebcd"):
        changed = dataset_of({**base, "ann": other}).split(LeaveOneOut()).test
        assert changed.fingerprint != test.fingerprint
    parts = dataset_of(base).split(LeaveOneOut())
    assert parts.validation.fingerprint != parts.test.fingerprint


@pytest.mark.parametrize(
    "protocol", [LeaveOneOut(), GlobalTemporal(validation_share=0.3, test_share=0.3, targets="all")]
)
def test_take_samples_whole_questions(protocol: Protocol) -> None:
    histories = {f"u{n}": "abcdefgh" for n in range(8)}
    times = {user: list(range(place, place + 8)) for place, user in enumerate(histories)}
    dataset = dataset_of(histories, times)
    test = dataset.split(protocol).test
    sample = test.take(3, seed=1)
    assert len(sample) == 3
    assert asked(dataset, sample).items() <= asked(dataset, test).items()
    assert sample.fingerprint == test.take(3, seed=1).fingerprint
    assert sample.fingerprint != test.fingerprint
    assert sample.part == "test"
    assert sample.protocol == f"{test.protocol}; sample of 3 by seed 1"
    assert test.take(len(test)) is test
    assert len({test.take(3, seed=seed).fingerprint for seed in range(10)}) > 1


def test_a_sample_counts_its_own_ties() -> None:
    dataset = dataset_of({"ann": "abcd", "ben": "dcb", "cat": "abc"})
    test = dataset.split(LeaveOneOut()).test
    with pytest.raises(ConfigError, match="at least one question, not 0"):
        test.take(0)
    assert test.take(2).tied_Q is None
