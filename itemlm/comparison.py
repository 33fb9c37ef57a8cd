"""Comparing papers: one split, the same questions for all, several seeds, one report.

report = itemlm.compare(["popularity", "sasrec"], data, seeds=3)
report.to_html("report.html")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from itemlm import papers
from itemlm.data.dataset import Dataset
from itemlm.data.splits import LeaveOneOut, Protocol
from itemlm.evaluation import Cost, Report, evaluate
from itemlm.fitting import configured, fit, learns_by_epochs
from itemlm.recommender import Recommender
from itemlm.types import ConfigError, TopK, UnknownName


def compare(
    names: Sequence[str],
    dataset: Dataset,
    *,
    protocol: Protocol | None = None,
    seeds: int = 1,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    oracle: TopK | None = None,
    folder: str | Path | None = None,
    device: str = "auto",
    baseline: str | None = None,
    quiet: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Fit papers on the training part and evaluate them on the test part.

    Args:
        names: papers. `"sasrec:published"` is a paper with `Config.as_published()`, and any
            `"sasrec:label"` is one whose settings are found under that name in `settings`.
        dataset: split here, so that no test event is seen in fitting.
        protocol: leave-one-out with shuffled ties where None.
        seeds: fits of each paper that is random; the split stays the same.
        settings: single settings by name, such as `{"sasrec": {"width": 128}}`.
        oracle: what knows the best possible ranking, as a simulated world's does.
        folder: keeps every run, `report.json` and `report.html`; an interrupted comparison goes on.
        device: for training.
        baseline: everyone is compared with this one; SASRec and popularity where None.
        quiet: no training output.
        say: receives a sentence before each fit.

    Raises:
        UnknownName: if a paper or a setting does not exist.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            "compare takes a list of papers' names and fits them; to evaluate recommenders that "
            "are fitted, use itemlm.evaluate."
        )
    if seeds < 1:
        raise ConfigError(f"seeds is {seeds}, but at least one fit is needed.")
    settings = settings or {}
    # Unknown names and settings are refused before the first minute of training.
    modules = {name: papers.get(name.partition(":")[0]) for name in names}
    for name in settings:
        if name not in modules:
            raise UnknownName("compared paper", name, modules)
    configs = {
        name: configured(module, _base(name, module, settings), settings.get(name, {}))
        for name, module in modules.items()
    }
    split = dataset.split(protocol or LeaveOneOut())
    fitted: dict[str, list[TopK]] = {}
    costs: dict[str, Cost] = {}
    curves: dict[str, Sequence[Mapping[str, Any]]] = {}
    for name, module in modules.items():
        of_seeds: list[Recommender] = []
        for seed in range(seeds if learns_by_epochs(module) else 1):
            say(f"fitting {name}" + (f", seed {seed}" if learns_by_epochs(module) else ""))
            run_name = f"{name.replace(':', '-')}-seed{seed}"
            of_seeds.append(
                fit(
                    name.partition(":")[0],
                    split.train,
                    config=configs[name],
                    validation=split.validation,
                    folder=None if folder is None else Path(folder) / "runs" / run_name,
                    seed=seed,
                    device=device,
                    quiet=quiet,
                )
            )
        fitted[name] = list(of_seeds)
        costs[name] = cost_of(*of_seeds)
        if of_seeds[0].card["history"]:
            curves[name] = of_seeds[0].card["history"]
    say("evaluating")
    if oracle is not None:
        fitted["oracle"] = [oracle]
    report = evaluate(
        fitted,
        split.test,
        catalog=dataset.catalog,
        baseline=baseline,
        oracle="oracle" if oracle is not None else None,
        costs=costs,
    )
    if folder is not None:
        report.to_json(Path(folder) / "report.json")
        report.to_html(Path(folder) / "report.html", title=dataset.name, curves=curves)
    return report


def _base(name: str, module: ModuleType, settings: Mapping[str, Any]) -> Any:
    """The config that a name's settings change: None for the default.

    Raises:
        ConfigError: if the name's label means nothing.
    """
    paper, _, label = name.partition(":")
    if label == "published" and hasattr(module.Config, "as_published"):
        return module.Config.as_published()
    if label and name not in settings:
        known = "published" if hasattr(module.Config, "as_published") else "no label"
        raise ConfigError(
            f"'{name}' has no settings. '{paper}' knows {known}; for a label of your own give "
            f"settings, such as --set {name}.NAME=VALUE."
        )
    return None


def cost_of(*of_seeds: Recommender) -> Cost:
    """What fitting cost, by the cards of one model's seeds: the mean of the seconds."""
    first = of_seeds[0]
    return Cost(
        fit_seconds=sum(model.card["fit seconds"] for model in of_seeds) / len(of_seeds),
        parameters=first.parameters,
        epochs=len(first.card["history"]) or None,
    )
