"""Fitting a paper to a dataset: settings, validation questions, the run's folder, and the answer.

model = itemlm.fit("sasrec", data, width=128)
model.recommend(["the-godfather-1972"], k=5)
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from itemlm import papers
from itemlm.config import from_mapping
from itemlm.data.dataset import Dataset
from itemlm.data.splits import HeldOut, hold_out_last
from itemlm.recommender import Recommender, Saved
from itemlm.types import ConfigError

if TYPE_CHECKING:
    from itemlm.train.run import Run


def fit(
    paper: str,
    dataset: Dataset,
    *,
    config: Any = None,
    validation: HeldOut | None = None,
    folder: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    refit: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Recommender:
    """Fit a paper to a dataset.

    Args:
        paper: a name of `itemlm.papers.names()`.
        dataset: what to learn from, all of it: split it first if some is kept for a test.
        config: the paper's Config; its default where None.
        validation: questions that decide when to stop. Where None, papers that train by epochs hold
            out the last event of up to 10,000 of the users.
        folder: where the run is recorded, and resumed if it was interrupted; also receives the
            fitted recommender as `model/`. Nothing is written where None.
        seed: of everything random.
        device: "auto", "cpu", "cuda"...
        refit: after the best number of epochs is known, train again that long on all events,
            the held-out ones too.
        quiet: print nothing.
        **settings: single settings of the Config, such as `width=128`.

    Raises:
        UnknownName: if there is no such paper or setting.
        ConfigError: if a setting cannot work.
        MissingExtra: if the paper needs an optional part.
    """
    module = papers.get(paper)
    config = configured(module, config, settings)
    started = time.perf_counter()
    if not learns_by_epochs(module):
        if refit:
            raise ConfigError(f"'{paper}' does not train by epochs, so there is nothing to refit.")
        recommender: Recommender = module.fit(dataset, config, None)
        history: list[dict[str, Any]] = []
    else:
        train = dataset
        if validation is None:
            train, validation = hold_out_last(dataset, seed=seed)
        run = _run(paper, train, config, folder, validation, seed, device, quiet)
        recommender = module.fit(train, config, run)
        history = run.history
        if refit:
            epochs = max(history, key=lambda r: r.get("validation NDCG@10", -1.0))["epoch"]
            config = replace(config, epochs=epochs)
            again = None if folder is None else Path(folder) / "refit"
            run = _run(paper, dataset, config, again, None, seed, device, quiet)
            recommender = module.fit(dataset, config, run)
    recommender.card = {
        "data": dataset.name,
        "data fingerprint": dataset.fingerprint,
        "seed": seed,
        # Over all its parts, where training was interrupted and resumed.
        "fit seconds": history[-1]["seconds"] if history else time.perf_counter() - started,
        "history": history,
    }
    if folder is not None:
        recommender.save(Path(folder) / "model")
    return recommender


def load_recommender(path: str | Path) -> Recommender:
    """A saved recommender: a folder written by `save`, or a run's folder.

    Raises:
        ArtifactError: if the folder is incomplete, damaged or of another version.
    """
    folder = Path(path)
    if not (folder / "manifest.json").exists() and (folder / "model").is_dir():
        folder = folder / "model"
    saved = Saved.read(folder)
    recommender: Recommender = papers.get(saved.paper).restore(saved)
    recommender.card = saved.card
    return recommender


def configured(module: ModuleType, config: Any, settings: Mapping[str, Any]) -> Any:
    """A paper's config with single settings replaced, checked."""
    base = module.Config() if config is None else config
    if not isinstance(base, module.Config):
        raise ConfigError(
            f"config is a {type(base).__name__} of another paper; "
            f"'{module.__name__.rpartition('.')[2]}' needs its own Config."
        )
    return from_mapping(module.Config, {**asdict(base), **settings}) if settings else base


def learns_by_epochs(module: ModuleType) -> bool:
    """Whether a paper has a training loop, and so needs a seed and validation questions."""
    return any(field.name == "patience" for field in fields(module.Config))


def _run(
    paper: str,
    dataset: Dataset,
    config: Any,
    folder: str | Path | None,
    validation: HeldOut | None,
    seed: int,
    device: str,
    quiet: bool,
) -> Run:
    from itemlm import __version__
    from itemlm.train.run import Run

    run = Run(folder, seed=seed, validation=validation, device=device, quiet=quiet)
    run.describe(
        {
            "paper": paper,
            "config": json.loads(json.dumps(asdict(config))),
            "data": dataset.name,
            "data fingerprint": dataset.fingerprint,
            "validation fingerprint": validation.fingerprint if validation else None,
            "versions": {"itemlm": __version__},
        }
    )
    return run
