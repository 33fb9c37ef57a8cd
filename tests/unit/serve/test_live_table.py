"""The catalog of now: what a change may say, and what it makes of the table."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm.data.vocabulary import Vocabulary
from itemlm.serve import live_table
from itemlm.serve.live_table import applied, checked, stored_id
from itemlm.types import DataError

TABLE = pl.DataFrame(
    {
        "item_id": ["a", "b"],
        "title": ["Heat", "Ran"],
        "genres": [["crime"], []],
        "year": pl.Series([1995, 1985], dtype=pl.Int16),
        "price": [9.5, None],
        "sold": [True, False],
        "since": [date(2020, 1, 31), None],
        "at": [datetime(2020, 1, 31, 12), None],
    }
)
IDS = Vocabulary(TABLE["item_id"])


def fits(**fields):
    """Fields as they are stored."""
    return checked("a", fields, dict(TABLE.schema))


def changed(*changes, table=TABLE, removed=()):
    """The table after changes, and what is said of it."""
    return applied(table, Vocabulary(table["item_id"]), set(removed), changes)


# --- Checking -------------------------------------------------------------------------------------


def test_values_become_what_their_column_holds():
    assert fits(title="Heat 2", genres=["crime", "drama"], sold=False) == {
        "title": "Heat 2",
        "genres": ["crime", "drama"],
        "sold": False,
    }
    assert fits(year=1996.0, price=3, since="2026-01-31") == {
        "year": 1996,
        "price": 3.0,
        "since": date(2026, 1, 31),
    }
    assert fits(title=None, genres=None) == {"title": None, "genres": None}
    assert fits(brand="Acme", tags=["x"], stock=4, weight=1.5, new=True)["stock"] == 4


def test_a_time_with_a_zone_is_the_same_moment():
    assert fits(at="2026-01-31T12:00:00") == {"at": datetime(2026, 1, 31, 12)}
    assert fits(at="2026-01-31T12:00:00+02:00") == {"at": datetime(2026, 1, 31, 10)}
    assert fits(at="2026-01-31T12:00:00Z") == {"at": datetime(2026, 1, 31, 12)}


@pytest.mark.parametrize(
    ("field", "value", "holds"),
    [
        ("year", "1995", "is '1995', but holds a whole number"),
        ("year", 1995.5, "is 1995.5, but holds a whole number"),
        ("year", 10**6, "is 1000000, but holds a whole number"),  # too large for 16 bits
        ("year", float("inf"), "but holds a whole number"),
        ("year", True, "is True, but holds a whole number"),
        ("price", "9", "is '9', but holds a number"),
        ("title", 5, "is 5, but holds a text"),
        ("genres", "crime", "is 'crime', but holds a list, each part a text"),
        ("genres", ["crime", 5], "holds a list, each part a text"),
        ("sold", 1, "is 1, but holds true or false"),
        ("since", "soon", "is 'soon', but holds a date such as '2026-01-31'"),
        ("at", 1769860800, "holds a date"),
        ("title", "half a character: \ud800", "but holds a text"),
        ("tags", ["\ud800"], "but holds a list, each part a text"),
    ],
)
def test_what_does_not_fit_is_a_sentence(field, value, holds):
    with pytest.raises(DataError) as caught:
        fits(**{field: value})
    assert f"item 'a': field '{field}' " in str(caught.value)
    assert holds in str(caught.value)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "__row"])
def test_fields_need_proper_names(name):
    with pytest.raises(DataError, match="item 'a'"):
        fits(**{name: 1})


def test_columns_of_rarer_kinds():
    size = pl.Enum(["small", "large"])
    table = pl.DataFrame(
        {
            "item_id": ["a"],
            "size": pl.Series(["small"], dtype=size),
            "color": pl.Series(["red"], dtype=pl.Categorical),
            "unused": pl.Series([None], dtype=pl.Null),
            "cost": pl.Series(["1.5"]).cast(pl.Decimal(10, 2)),
        }
    )
    schema = dict(table.schema)
    fields = checked("a", {"size": "large", "color": "blue", "unused": 5}, schema)
    done = changed(("a", fields), table=table)
    assert done.table.row(0)[:4] == ("a", "large", "blue", 5)
    with pytest.raises(DataError, match="'huge', but holds one of small, large"):
        checked("a", {"size": "huge"}, schema)
    with pytest.raises(DataError, match="holds what cannot be set from outside"):
        checked("a", {"cost": 2.5}, schema)
    # Checked for another catalog, it is left out of this one.
    assert changed(("a", {"size": "huge"}), table=table).table["size"][0] == "small"


def test_items_agree_on_a_new_field():
    schema = dict(TABLE.schema)
    assert checked("a", {"stock": 4}, schema) == {"stock": 4}
    with pytest.raises(DataError, match=r"item 'b': field 'stock' is 'many', but holds a whole"):
        checked("b", {"stock": "many"}, schema)
    assert checked("c", {"stock": None}, schema) == {"stock": None}


def test_there_is_an_end_to_new_fields(monkeypatch):
    monkeypatch.setattr(live_table, "MAX_COLUMNS", len(TABLE.columns) + 1)
    schema = dict(TABLE.schema)
    checked("a", {"brand": "Acme"}, schema)
    with pytest.raises(DataError, match="'stock' would be a new field, but items have 9 already"):
        checked("a", {"stock": 4}, schema)
    assert checked("a", {"title": "Heat"}, schema) == {"title": "Heat"}


def test_ids_are_of_the_kind_of_the_catalog():
    assert stored_id(5, IDS) == "5"
    numbers = Vocabulary(pl.Series([1, 2]))
    assert stored_id("5", numbers) == stored_id(5, numbers) == 5
    for wrong in ("x", "05", " 5", "٥", str(2**63)):
        with pytest.raises(DataError, match=r"are whole numbers, and .* is none"):
            stored_id(wrong, numbers)


# --- Applying -------------------------------------------------------------------------------------


def test_rows_stay_and_arrived_items_follow():
    done = changed(("c", {"title": "Ikiru", "year": 1952}), ("b", {"price": 2.0}))
    assert done.table["item_id"].to_list() == ["a", "b", "c"]
    assert done.table["title"].to_list() == ["Heat", "Ran", "Ikiru"]
    assert done.table["year"].to_list() == [1995, 1985, 1952]
    assert done.table["price"].to_list() == [9.5, 2.0, None]
    assert done.table["genres"].to_list() == [["crime"], [], None]
    assert done.table.schema == TABLE.schema
    assert (done.arrived, sorted(done.changed)) == (["c"], [1, 2])


def test_a_new_field_is_a_new_column_and_null_empties_one():
    done = changed(("a", {"brand": "Acme", "price": None}), ("c", {"tags": ["x"]}))
    assert done.table["brand"].to_list() == ["Acme", None, None]
    assert done.table["tags"].to_list() == [None, None, ["x"]]
    assert done.table["price"].to_list() == [None, None, None]
    assert "stock" not in changed(("a", {"stock": None})).table.columns


def test_removing_and_coming_back():
    done = changed(("a", None), ("nowhere", None))
    assert (done.removed, done.changed, done.table.equals(TABLE)) == ([0], [], True)
    assert changed(("a", None), removed=[0]).removed == []
    done = changed(("a", {}), removed=[0])
    assert (done.returned, done.changed) == ([0], [0])
    assert done.table["title"][0] == "Heat"


def test_changes_of_one_item_hold_in_their_order():
    done = changed(("c", {"title": "x", "year": 1}), ("c", {"title": "y"}))
    assert done.table.row(2, named=True)["title"] == "y"
    assert done.table["year"][2] == 1
    done = changed(("c", {"title": "x"}), ("c", None))
    assert (done.table.height, done.arrived, done.removed) == (2, [], [])
    done = changed(("a", None), ("a", {"title": "y"}))
    assert (done.removed, done.table["title"][0]) == ([], "y")


def test_what_was_checked_for_another_catalog_is_left_out_where_it_does_not_fit():
    done = changed(("a", {"title": 5, "year": 1996}))
    assert done.table["title"].to_list() == ["Heat", "Ran"]
    assert done.table["year"].to_list() == [1996, 1985]


ITEM = st.sampled_from(["a", "b", "c", "d"])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "title": st.none() | st.text(max_size=3),
        "year": st.none() | st.integers(-(2**15), 2**15 - 1),
        "genres": st.none() | st.lists(st.text(max_size=2), max_size=2),
        "price": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "since": st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1)),
        "stock": st.none() | st.integers(0, 9),
    },
)


@given(st.lists(st.lists(st.tuples(ITEM, st.none() | FIELDS), max_size=4), max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_table_is_what_a_dictionary_would_be(calls):
    """Call after call, against plain dictionaries that are changed one field at a time."""
    table, removed = TABLE, set()
    rows = {row.pop("item_id"): row for row in TABLE.to_dicts()}
    gone = set()
    for changes in calls:
        done = applied(table, Vocabulary(table["item_id"]), removed, changes)
        table, removed = done.table, (removed | set(done.removed)) - set(done.returned)
        final = {}
        for item, fields in changes:  # within a call, removing forgets what came before it
            final[item] = None if fields is None else (final.get(item) or {}) | fields
        for item, fields in final.items():
            if fields is None:
                gone |= {item} & set(rows)
            else:
                rows.setdefault(item, {}).update(fields)
                gone.discard(item)
    assert table["item_id"].to_list() == list(rows)
    assert {table["item_id"][row] for row in removed} == gone
    for line in table.to_dicts():
        wanted = rows[line["item_id"]]
        for name in table.columns:
            if name != "item_id":
                assert line[name] == wanted.get(name)


def test_times_are_kept_to_the_microsecond():
    at = datetime(2026, 1, 31, 12, tzinfo=UTC) + timedelta(microseconds=1)
    done = changed(("a", fits(at=at.isoformat())))
    assert done.table["at"][0] == at.replace(tzinfo=None)
