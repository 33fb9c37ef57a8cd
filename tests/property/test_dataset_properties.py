"""What holds of any data: files come in whole, damage ends in sentences, splits do not leak."""

from __future__ import annotations

import contextlib
import csv
import io
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from itemlm.data.dataset import Dataset
from itemlm.data.held_out import HeldOut
from itemlm.data.splits import ColdItems, GlobalTemporal, LeaveOneOut, Protocol, Split, UserHoldout
from itemlm.data.ties import tied_events
from itemlm.data.vocabulary import Vocabulary
from itemlm.types import DataError, ItemlmError

# Text that a file can hold: no halves of surrogate pairs, no zero bytes.
characters = st.characters(exclude_categories=("Cs",), exclude_characters="\x00\ufeff")
words = st.text(characters, max_size=8).map(str.strip)
events = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(0, 20)), min_size=2, max_size=60
)


# Nothing here is timed: the machine may have other work.
quick = settings(max_examples=50, deadline=None)


def dataset_of(log: list[tuple[int, int, int]]) -> Dataset:
    frame = pl.DataFrame(log, schema=["user_id", "item_id", "timestamp"], orient="row")
    return Dataset.build(frame, name="any")


def read(content: bytes, name: str, **options: object) -> Dataset:
    with tempfile.TemporaryDirectory() as folder:
        log, items = Path(folder) / "log.csv", Path(folder) / name
        log.write_text("user,item\nann,0\nben,1\n")
        items.write_bytes(content)
        return Dataset.from_files(log, items, **options)  # type: ignore[arg-type]


@quick
@given(st.lists(words, min_size=2, max_size=12), st.sampled_from([",", ";"]))
def test_any_text_comes_back_from_a_delimited_file(titles: list[str], separator: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator)
    writer.writerow(["item_id", "title", "end"])
    writer.writerows([place, f"x{title}x", "z"] for place, title in enumerate(titles))
    catalog = read(file.getvalue().encode(), "items.csv").catalog
    read_titles = catalog["title"].to_list()
    expected = [f"x{title}x" for title in titles]
    if catalog["title"].dtype == pl.List:  # "a|b" is a list
        expected = [title.split("|") for title in expected]  # type: ignore[misc]
    assert read_titles == expected
    assert catalog["item_id"].to_list() == list(range(len(titles)))


@quick
@given(st.lists(st.none() | words.filter(bool), min_size=2, max_size=12))
def test_any_text_comes_back_from_json_lines(titles: list[str | None]) -> None:
    frame = pl.DataFrame(
        {"item_id": range(len(titles)), "title": pl.Series(titles, dtype=pl.String)}
    )
    catalog = read(frame.write_ndjson().encode(), "items.jsonl").catalog
    assert catalog["title"].to_list() == titles


def good_files() -> dict[str, bytes]:
    frame = pl.DataFrame(
        {"item_id": range(6), "title": [f'A "{n}", b' for n in range(6)], "price": [0.5] * 6}
    )
    parquet = io.BytesIO()
    frame.write_parquet(parquet, compression="uncompressed")
    return {
        "items.csv": frame.write_csv().encode(),
        "items.tsv": frame.write_csv(separator="\t").encode(),
        "items.jsonl": frame.write_ndjson().encode(),
        "items.parquet": parquet.getvalue(),
        "items": frame.write_csv(separator="|").encode(),
    }


GOOD = good_files()
DAMAGE = [
    b"",
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\t",
    b"\x00",
    b"\xff",
    b"{",
    b"]",
    b"nan",
    b"9" * 30,
    b"::",
]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(GOOD)),
    st.lists(
        st.tuples(st.integers(0, 700), st.integers(0, 9), st.sampled_from(DAMAGE)), max_size=4
    ),
    st.sampled_from(["stop", "drop"]),
)
# Every row has a field too many, so that nothing of the catalog is left.
@example("items", [(4, 4, b"::"), (132, 0, b"::")], "drop")
def test_a_damaged_file_is_read_or_ends_in_a_sentence(
    name: str, damages: list[tuple[int, int, bytes]], on_error: str
) -> None:
    content = GOOD[name]
    for place, length, instead in damages:
        content = content[:place] + instead + content[place + length :]
    with contextlib.suppress(ItemlmError):
        dataset = read(content, name, on_error=on_error)
        assert set(dataset.items.ids) >= {0, 1} or set(dataset.items.ids) >= {"0", "1"}
    if not damages:
        assert len(read(content, name).items) == 6


@quick
@given(st.lists(st.text(max_size=5) | st.integers(-(2**62), 2**62), unique_by=str, max_size=20))
def test_rows_and_ids_are_inverse(ids: list[str | int]) -> None:
    for kind in (str, int):
        own = [item_id for item_id in ids if isinstance(item_id, kind)]
        vocabulary = Vocabulary(pl.Series(own, dtype=pl.String if kind is str else pl.Int64))
        assert vocabulary.rows(own).tolist() == list(range(len(own)))
        assert vocabulary.ids_of(np.arange(len(own))) == own


@quick
@given(events)
def test_building_loses_no_event_and_sorts_each_history(log: list[tuple[int, int, int]]) -> None:
    dataset = dataset_of(log)
    assert Counter(dataset.events.rows()) == Counter(log)
    assert dataset.events["user_id"].is_sorted()
    for user in dataset.users.ids:
        of_user = [(moment, item) for who, item, moment in log if who == user]
        in_order = sorted(of_user, key=lambda event: event[0])  # a stable sort
        assert dataset.query(user).history == [item for _, item in in_order]


@quick
@given(events)
def test_tied_events_are_those_with_a_twin_moment(log: list[tuple[int, int, int]]) -> None:
    dataset = dataset_of(log)
    moments = Counter((user, moment) for user, _, moment in log)
    expected = [moments[user, moment] > 1 for user, _, moment in dataset.events.rows()]
    tied_E = tied_events(dataset.sequences)
    assert tied_E is not None
    assert tied_E.tolist() == expected


def question(part: HeldOut, place: int) -> tuple[int, list[int], list[int]]:
    history = slice(*part.queries.offsets[place : place + 2])
    answers = slice(*part.target_offsets[place : place + 2])
    return (
        int(part.queries.user_rows[place]),
        part.queries.item_rows[history].tolist(),
        part.target_rows[answers].tolist(),
    )


def of_user(dataset: Dataset, user: int) -> list[int]:
    start, stop = dataset.sequences.offsets[user : user + 2]
    return dataset.sequences.item_rows[start:stop].tolist()


@pytest.mark.parametrize(
    "protocol",
    [
        LeaveOneOut(),
        LeaveOneOut(ties="as_given"),
        GlobalTemporal(validation_share=0.2, test_share=0.2),
        GlobalTemporal(validation_share=0.2, test_share=0.2, targets="all"),
        UserHoldout(validation_share=0.3, test_share=0.3),
        ColdItems(share=0.3),
    ],
)
@quick
@given(events)
def test_no_answer_is_trained_on(protocol: Protocol, log: list[tuple[int, int, int]]) -> None:
    dataset = dataset_of(log)
    try:
        split: Split = dataset.split(protocol)
    except DataError:
        return  # too few events for this protocol, which says so
    for part in (split.validation, split.test):
        assert len(part) > 0
        assert part.train_counts_N.tolist() == split.train.item_counts.tolist()
        for place in range(len(part)):
            user, history, answers = question(part, place)
            assert history
            assert answers
            # As multisets: what is trained on of this user, and the answers, are different events.
            own = Counter(of_user(dataset, user))
            assert not (Counter(of_user(split.train, user)) + Counter(answers)) - own
            assert not (Counter(history) + Counter(answers)) - own
    # Nothing is trained on twice, and nothing that was not there.
    assert not Counter(split.train.events.rows()) - Counter(dataset.events.rows())


@quick
@given(events)
def test_leave_one_out_divides_the_events_of_each_user(log: list[tuple[int, int, int]]) -> None:
    dataset = dataset_of(log)
    if dataset.sequences.lengths.max() < 3:
        return
    split = dataset.split(LeaveOneOut(seed=1))
    for place in range(len(split.test)):
        user, history, answer = question(split.test, place)
        _, earlier, before = question(split.validation, place)
        assert earlier == of_user(split.train, user)
        assert history == earlier + before
        assert Counter(history + answer) == Counter(of_user(dataset, user))


def plain_leave_one_out(
    log: list[tuple[int, int, int]],
) -> dict[int, tuple[list[int], int, int]]:
    """The definition: of each user with three events, what is trained on and the two answers."""
    histories: dict[int, list[int]] = {}
    for user, item, _ in sorted(log, key=lambda event: event[2]):  # a stable sort
        histories.setdefault(user, []).append(item)
    return {
        user: (history[:-2], history[-2], history[-1])
        for user, history in histories.items()
        if len(history) >= 3
    }


@quick
@given(events)
def test_leave_one_out_is_what_lists_of_python_make(log: list[tuple[int, int, int]]) -> None:
    expected = plain_leave_one_out(log)
    if not expected:
        return
    dataset = dataset_of(log)
    split = dataset.split(LeaveOneOut(ties="as_given"))
    found = {}
    for place in range(len(split.test)):
        user, history, [answer] = question(split.test, place)
        _, _, [before] = question(split.validation, place)
        trained = dataset.items.ids_of(np.array(of_user(split.train, user)))
        before_id, answer_id = dataset.items.ids_of(np.array([before, answer]))
        found[dataset.users.ids[user]] = (trained, before_id, answer_id)
        assert dataset.items.ids_of(np.array(history)) == [*trained, before_id]
    assert found == expected


@quick
@given(events)
def test_a_saved_dataset_is_the_same(log: list[tuple[int, int, int]]) -> None:
    dataset = dataset_of(log)
    with tempfile.TemporaryDirectory() as folder:
        dataset.save(Path(folder) / "saved")
        loaded = Dataset.load(Path(folder) / "saved")
        assert loaded.fingerprint == dataset.fingerprint
        assert loaded.events.equals(dataset.events)
