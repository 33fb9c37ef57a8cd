"""Report: everything that an evaluation found, to print, keep or publish.

report["sasrec"]["N@10"].mean     one figure
report.table()                    the terminal
report.to_json("report.json")     all figures, for programs
report.to_html("report.html")     one page with plots, for people
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itemlm.data.folder import write_text
from itemlm.evaluation.results import Comparison, Conditions, Result, as_plain
from itemlm.evaluation.words import cautions, findings, protocol
from itemlm.types import UnknownName

if TYPE_CHECKING:
    from rich.console import RenderableType

Curves = Mapping[str, Sequence[Mapping[str, Any]]]
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Report:
    """The records of one evaluation. `report[name]` is one recommender's `Result`.

    Attributes:
        conditions: how the questions were asked.
        results: one per recommender, in the order given.
        comparisons: of everyone but the oracle with each baseline.
    """

    conditions: Conditions
    results: tuple[Result, ...]
    comparisons: tuple[Comparison, ...]

    def __getitem__(self, name: str) -> Result:
        for result in self.results:
            if result.name == name:
                return result
        raise UnknownName("recommender in this report", name, [r.name for r in self.results])

    def comparison(self, name: str, metric: str, baseline: str | None = None) -> Comparison | None:
        """One comparison, by default with the first baseline; None if it was not made."""
        baseline = baseline or next(iter(self.conditions.baselines), None)
        for c in self.comparisons:
            if (c.name, c.metric, c.baseline) == (name, metric, baseline):
                return c
        return None

    def table(self) -> RenderableType:
        """Tables for a terminal: headline, slices, findings and cautions."""
        from itemlm.evaluation.terminal import tables

        return tables(self)

    def __rich__(self) -> RenderableType:
        return self.table()

    def __str__(self) -> str:
        from rich.console import Console

        text = StringIO()
        Console(file=text, width=120).print(self.table())
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, in types that JSON knows."""
        return {
            "format": "itemlm report",
            "version": FORMAT_VERSION,
            "protocol": dict(protocol(self.conditions)),
            "findings": findings(self.conditions, self.results, self.comparisons),
            "cautions": cautions(self.conditions, self.results),
            **as_plain(self),
        }

    def to_json(self, path: str | Path) -> None:
        """Write `to_dict` to a file that appears whole or not at all."""
        write_text(
            Path(path), json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        )

    def to_html(
        self, path: str | Path, *, title: str = "Evaluation", curves: Curves | None = None
    ) -> None:
        """Write one self-contained page that appears whole or not at all.

        Args:
            path: of the file.
            title: of the page, such as the dataset's name.
            curves: learning curves by recommender: records with `epoch`, `loss` and, where it was
                measured, `validation NDCG@10`, as a run writes them.
        """
        from itemlm.evaluation.html import page

        write_text(Path(path), page(self, title, curves or {}))
