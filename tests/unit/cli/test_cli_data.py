"""`itemlm data`: from files to a dataset that every command takes."""

from __future__ import annotations

import pytest

from itemlm.data import sources
from itemlm.data.dataset import Dataset

EVENTS = """customer,sku,day,stars
ann,1,2024-01-01,5
ann,2,2024-01-02,4
ann,3,2024-01-03,4
bob,1,2024-01-01,5
bob,3,2024-01-02,2
bob,1,2024-01-03,5
cal,2,2024-01-04,3
"""
ITEMS = """sku,title
1,One
2,Two
3,Three
4,Four
"""


@pytest.fixture(autouse=True)
def _files(tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS)
    (tmp_path / "items.csv").write_text(ITEMS)


AS_STATED = ("--items", "items.csv", "--column", "timestamp=day", "--column", "value=stars")


def test_the_named_datasets_are_listed(itemlm, itemlm_json):
    listed = itemlm("data", "list").stdout
    assert all(name in listed for name in ("demo", *sources.names()))
    first = itemlm_json("data", "list")[0]
    assert first["releases"]["5-core of 2014"]["users"] == 22_363


def test_describe_counts(itemlm_json):
    found = itemlm_json("data", "describe", "events.csv", *AS_STATED)
    # 7 events of 3 users; bob's second event with item 1 is the only repeat.
    assert (found["users"], found["items"], found["events"]) == (3, 4, 7)
    assert found["repeat_share"] == pytest.approx(1 / 7)
    assert (found["first_date"], found["last_date"]) == ("2024-01-01", "2024-01-04")
    assert len(found["fingerprint"]) == 12


def test_describe_tells_people_the_same(itemlm):
    result = itemlm("data", "describe", "events.csv", *AS_STATED)
    assert "7, which is 50.000% of all pairs" in result.stdout  # 6 pairs of 3 x 4
    assert "4, of which 1 without events" in result.stdout


def test_the_guess_of_columns_is_told_on_standard_error(itemlm):
    result = itemlm("data", "describe", "events.csv", "--json")
    assert result.stderr.count("took 'customer' as user_id, 'sku' as item_id") == 1


def test_describe_draws(itemlm, tmp_path):
    itemlm("data", "describe", "events.csv", "--plot", "head.svg")
    assert "<svg" in (tmp_path / "head.svg").read_text()


def test_prepare_saves_what_every_command_takes(itemlm, tmp_path):
    result = itemlm("data", "prepare", "events.csv", *AS_STATED, "--out", "mine")
    assert "itemlm compare popularity itemknn --data mine" in result.stderr
    saved = Dataset.load(tmp_path / "mine")
    assert saved.name == "mine"
    assert saved.query("bob").history == [1, 3, 1]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ((), "ann 1, ann 2, ann 3, bob 1, bob 3, bob 1, cal 2"),
        (("--start", "2024-01-02"), "ann 2, ann 3, bob 3, bob 1, cal 2"),
        (("--end", "2024-01-03"), "ann 1, ann 2, bob 1, bob 3"),
        (("--min-value", "4"), "ann 1, ann 2, ann 3, bob 1, bob 1"),
        (("--drop-duplicates",), "ann 1, ann 2, ann 3, bob 1, bob 3, cal 2"),
        # cal has one event; without cal, item 2 has one; what is left has two everywhere.
        (("--k-core", "2"), "ann 1, ann 3, bob 1, bob 3, bob 1"),
        (("--min-value", "4", "--drop-duplicates", "--k-core", "1"), "ann 1, ann 2, ann 3, bob 1"),
    ],
)
def test_prepare_filters(filters, left, itemlm, tmp_path):
    itemlm("data", "prepare", "events.csv", *AS_STATED, *filters, "--out", "mine")
    events = Dataset.load(tmp_path / "mine").events
    pairs = zip(events["user_id"], events["item_id"], strict=True)
    assert ", ".join(f"{user} {item}" for user, item in pairs) == left


def test_prepare_filters_a_saved_dataset_too(itemlm, data, itemlm_json):
    before = itemlm_json("data", "describe", data)
    after = itemlm_json("data", "prepare", data, "--k-core", "3", "--out", "core")
    assert 0 < after["events"] < before["events"]
    assert after["notes"][-1].startswith("kept 3-core of users and 3-core of items")


def test_bad_rows_stop_or_are_dropped(itemlm, tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS + "cal,,2024-01-05,1\n")
    prepare = ("data", "prepare", "events.csv", "--out", "mine")
    stopped = itemlm(*prepare, exit_code=1)
    assert "events.csv, line 9: the item id is empty" in stopped.stderr
    assert not (tmp_path / "mine").exists()
    dropped = itemlm(*prepare, "--on-error", "drop")
    assert "dropped 1 row" in dropped.stderr


def test_the_encoding_can_be_named(itemlm, tmp_path):
    (tmp_path / "events.csv").write_bytes("user_id,item_id\nann,café\nbob,thé\n".encode("latin-1"))
    refused = itemlm("data", "describe", "events.csv", exit_code=1)
    assert "--encoding latin-1" in refused.stderr
    itemlm("data", "prepare", "events.csv", "--encoding", "latin-1", "--out", "mine")
    assert Dataset.load(tmp_path / "mine").items.ids.to_list() == ["café", "thé"]


def test_file_options_without_an_event_file_are_refused(itemlm, data):
    result = itemlm("data", "describe", data, "--items", "items.csv", exit_code=1)
    assert "--items, --users and --column go with an event file" in result.stderr


def test_download_takes_what_is_there_already(itemlm, tmp_path, monkeypatch):
    monkeypatch.setenv("ITEMLM_DATA", str(tmp_path))
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    (folder / "u.data").write_text("1\t10\t5\t874965758\n2\t10\t3\t876893171\n")
    titles = "10|Richard III (1995)|22-Jan-1996||http://us.imdb.com/" + "|0" * 19 + "\n"
    (folder / "u.item").write_text(titles)
    (folder / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n")
    result = itemlm("data", "download", "ml-100k")
    assert "research use only" in result.stdout
    assert "no published release" in result.stderr
