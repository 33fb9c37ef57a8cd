"""Which column is the user, which the item: guessed from the names that the field's files use.

`userId`, `user_id`, `visitorid` and `reviewerID` all mean the user. Names are compared without
case, underscores and other punctuation. A `columns` mapping given by the caller overrules the
guess, and every guess is told in a note of the dataset.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from itemlm.types import DataError, UnknownName

# Our name -> what others call it, surest first. `parent_asin` stands before `asin`, since the
# catalogs of Amazon Reviews 2023 list parents only.
NAMES: dict[str, tuple[str, ...]] = {
    "user_id": (
        *("userid", "user", "uid", "customerid", "customer", "reviewerid", "visitorid"),
        *("memberid", "accountid", "profileid", "personid", "clientid", "buyerid", "playerid"),
        *("sessionid", "session", "userhash", "username"),
    ),
    "item_id": (
        *("itemid", "item", "iid", "movieid", "parentasin", "asin", "sku", "productid"),
        *("articleid", "bookid", "isbn", "songid", "trackid", "artistid", "videoid", "newsid"),
        *("businessid", "poiid", "venueid", "locationid", "gameid", "appid", "recipeid", "adid"),
        *("hotelid", "contentid", "documentid", "docid", "movie", "product", "article", "book"),
        *("song", "track", "artist", "video", "game"),
    ),
    "timestamp": (
        *("timestamp", "time", "datetime", "date", "unixreviewtime", "ts", "eventtime"),
        *("unixtime", "createdat", "ratedat", "eventtimestamp", "timestampms", "tdat"),
    ),
    "value": (
        *("rating", "weight", "overall", "score", "value", "stars", "ratingvalue"),
        *("playcount", "hours"),
    ),
}
LONGEST = 40  # characters of a column name in a message
WHAT = {
    "user_id": "the user id",
    "item_id": "the item id",
    "timestamp": "the timestamp",
    "value": "the value",
}


def check_roles(columns: Mapping[str, str], headers: Mapping[str, Sequence[Sequence[str]]]) -> None:
    """That a `columns` mapping speaks of our names and of columns that exist.

    Args:
        columns: our name to the file's; an empty name means that no column is to be used.
        headers: our name to the headers in which that column may stand.

    Raises:
        UnknownName: if a key is not one of our names.
        DataError: if no header has the named column.
    """
    for role, column in columns.items():
        if role not in NAMES:
            raise UnknownName("column of ours", role, NAMES)
        if not column and role in ("timestamp", "value"):
            continue
        found = list(dict.fromkeys(name for header in headers[role] for name in header))
        if column not in found:
            near = difflib.get_close_matches(column, found, n=1, cutoff=0.5)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise DataError(
                f"columns={{'{role}': '{column}'}} names a column that is not there.{hint} "
                f"The columns are {quoted(found)}."
            )


def find_column(
    role: str,
    header: Sequence[str],
    columns: Mapping[str, str],
    *,
    like: str | None = None,
    last_resort: str | None = None,
) -> str | None:
    """The column that plays a role, or None.

    Args:
        role: one of our names.
        header: the columns there are.
        columns: the caller's choices, which win where the header has them.
        like: what another file calls it, which wins over the usual names.
        last_resort: a name that only counts where none of the usual ones is there.
    """
    if columns.get(role) == "":
        return None
    for exact in (columns.get(role), like):
        if exact in header:
            return exact
    column_of = {_plain(name): name for name in reversed(header)}
    usual = (*NAMES[role], last_resort)
    return next((column_of[name] for name in usual if name in column_of), None)


def missing_column(role: str, name: str, header: Sequence[str]) -> DataError:
    """The error for a column that could not be found or guessed."""
    example = header[0] if len(header[0]) <= LONGEST else "NAME"
    return DataError(
        f"{name} has no column that looks like {WHAT[role]}. Its columns are {quoted(header)}. "
        f"Name the right one, as in columns={{'{role}': '{example}'}} (--column {role}={example})."
    )


def unique_names(names: Sequence[str]) -> list[str]:
    """Names with a number where one comes again (title, title_2) or is empty (column_3)."""
    unique: list[str] = []
    for place, name in enumerate(names, start=1):
        wanted = chosen = name or f"column_{place}"
        again = 1
        while chosen in unique:
            again += 1
            chosen = f"{wanted}_{again}"
        unique.append(chosen)
    return unique


def quoted(names: Iterable[str], most: int = 30) -> str:
    """`'a', 'b', 'c'`, shortened where there are many or one is very long."""
    listed = [f"'{name if len(name) <= LONGEST else name[:LONGEST] + '…'}'" for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
