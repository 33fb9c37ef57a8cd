"""`itemlm steer`: does a recommender that reads words do what they ask?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from itemlm.cli.console import show, show_json, table, warn
from itemlm.cli.inputs import open_data
from itemlm.cli.options import (
    ColumnOption,
    DataOption,
    ItemsOption,
    JsonOption,
    ProtocolOption,
    Split,
    Ties,
    TiesOption,
    UsersOption,
)


def steer(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A saved recommender or run.")],
    data: DataOption,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    protocol: ProtocolOption = Split.LEAVE_ONE_OUT,
    ties: TiesOption = Ties.SHUFFLE,
    questions: Annotated[int, typer.Option(min=1, help="On each axis, at most.")] = 2000,
    k: Annotated[int, typer.Option(min=1, help="Places looked at.")] = 10,
    json: JsonOption = False,
) -> None:
    """Ask test questions with preferences in words, and see whether answers follow them.

    Five kinds of questions, each asked with the words and without; the preferences are templates
    around phrases of the catalog.

    For example:

    ```
    itemlm fit mender --data demo --protocol leave-one-out --out runs/mender
    itemlm steer runs/mender --data demo
    ```
    """
    import itemlm
    from itemlm.cli.evaluate import check_catalog
    from itemlm.evaluation.steering import steering
    from itemlm.text.phrases import phrases

    dataset = open_data(data, items, users, column)
    split = dataset.split(protocol.protocol(ties))
    recommender = itemlm.load_recommender(folder)
    check_catalog(folder.name, recommender, dataset)
    if recommender.card.get("data fingerprint") != split.train.fingerprint:
        warn(f"it may have seen the answers: fit it with --protocol {protocol.value}.")
    axes = steering(recommender, split.test, phrases(dataset), k=k, questions=questions)
    if all(
        (axis.with_words_Q == axis.without_Q).all() for axis in axes if axis.name != "sentiment"
    ):
        warn(f"words changed nothing: '{recommender.paper}' does not read the text of a query.")
    found = {
        axis.name: {
            "questions": len(axis.with_words_Q),
            "with words": float(axis.with_words_Q.mean()),
            "without": float(axis.without_Q.mean()),
            "gain": axis.gain[0],
            "±": axis.gain[1],
        }
        for axis in axes
    }
    if json:
        show_json(found)
        return
    columns = ("questions", "with words", "without", "gain", "±")
    made = table("axis", *columns, numbers=columns)
    for name, figures in found.items():
        cells = [f"{figures['questions']:,}", *(f"{figures[column]:.4f}" for column in columns[1:])]
        made.add_row(name, *cells)
    show(made)
