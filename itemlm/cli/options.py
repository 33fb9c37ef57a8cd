"""Options and arguments that several commands share, with their help and completion."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from itemlm.data.splits import Protocol
    from itemlm.data.ties import Ties as Order

# --- Completion ---------------------------------------------------------------------------------


def paper_names(incomplete: str) -> list[str]:
    """Papers that begin so."""
    from itemlm import papers

    return [name for name in papers.names() if name.startswith(incomplete)]


def public_names(incomplete: str) -> list[str]:
    """Public datasets that begin so."""
    from itemlm.data import sources

    return [name for name in sources.names() if name.startswith(incomplete)]


def dataset_names(incomplete: str) -> list[str]:
    """Datasets with a name that begin so."""
    return [name for name in ("demo",) if name.startswith(incomplete)] + public_names(incomplete)


# --- Data ---------------------------------------------------------------------------------------

_DATA_HELP = (
    "A name (see `itemlm data list`), a folder made by `itemlm data prepare`, or an event file."
)
DataArgument = Annotated[
    str, typer.Argument(metavar="DATA", help=_DATA_HELP, autocompletion=dataset_names)
]
DataOption = Annotated[
    str, typer.Option("--data", metavar="DATA", help=_DATA_HELP, autocompletion=dataset_names)
]
OptionalDataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help=_DATA_HELP, autocompletion=dataset_names),
]
ItemsOption = Annotated[
    Path | None,
    typer.Option("--items", metavar="FILE", help="With an event file: one row per item."),
]
UsersOption = Annotated[
    Path | None,
    typer.Option("--users", metavar="FILE", help="With an event file: one row per user."),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="OURS=THEIRS",
        help="With an event file: what it calls user_id, item_id, timestamp or value, where the "
        "guess is wrong. Repeatable.",
    ),
]


EncoderOption = Annotated[
    str,
    typer.Option(
        "--encoder",
        help="lsa (word statistics, no download), the folder or name of a sentence-transformers "
        "model, collaborative (who took what) or a FILE.npy with a row per item; several joined "
        "by +.",
    ),
]

# --- Fitting and evaluating ---------------------------------------------------------------------

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the paper (see `itemlm papers NAME`). Repeatable.",
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps... for training.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON to standard output, all else to standard error.")
]


class Ties(StrEnum):
    """What becomes of a user's events with equal timestamps, by name."""

    SHUFFLE = "shuffle"
    AS_GIVEN = "as-given"

    def order(self) -> Order:
        """As splits call it."""
        return "shuffle" if self is Ties.SHUFFLE else "as_given"


class Split(StrEnum):
    """How questions are held out, by name."""

    LEAVE_ONE_OUT = "leave-one-out"
    TEMPORAL = "temporal"
    USER_HOLDOUT = "user-holdout"
    COLD_ITEMS = "cold-items"

    def protocol(self, ties: Ties) -> Protocol:
        """The protocol with its default settings but for the order of ties."""
        from itemlm.data.splits import ColdItems, GlobalTemporal, LeaveOneOut, UserHoldout

        order = ties.order()
        if self is Split.TEMPORAL:
            return GlobalTemporal(ties=order)
        if self is Split.LEAVE_ONE_OUT:
            return LeaveOneOut(ties=order)
        if self is Split.COLD_ITEMS:
            return ColdItems(ties=order)
        return UserHoldout(ties=order)


_SPLIT_HELP = (
    "Who is asked what: every user's last event, the events after a moment, the last event of "
    "users who are not trained on, or every user's last event with some items new."
)
ProtocolOption = Annotated[Split, typer.Option("--protocol", help=_SPLIT_HELP)]
TiesOption = Annotated[
    Ties,
    typer.Option(
        "--ties",
        help="A user's events of the same moment: shuffled by seed, or in the order of the file, "
        "which may give answers away.",
    ),
]
