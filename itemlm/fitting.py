"""Fitting a paper to a dataset: settings, validation questions, the run's folder, and the answer.

model = itemlm.fit("sasrec", data, width=128)
model.recommend(["the-godfather-1972"], k=5)
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from itemlm import __version__, papers
from itemlm.config import check_at_least, check_positive, from_mapping
from itemlm.data.dataset import Dataset
from itemlm.data.held_out import HeldOut
from itemlm.data.splits import hold_out_last
from itemlm.recommender import Recommender, Saved
from itemlm.train.record import record_run
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
        seed: of everything random; not negative.
        device: "auto", "cpu", "cuda"...
        refit: after the best number of epochs is known, train again that long on all events, the
            held-out ones too (with a learning rate planned for that many epochs). Not possible
            with `validation`, whose events are not in the dataset.
        quiet: print nothing.
        **settings: single settings of the Config, such as `width=128`.

    Raises:
        UnknownName: if there is no such paper or setting.
        ConfigError: if a setting cannot work.
        MissingExtra: if the paper needs an optional part.
    """
    if not isinstance(paper, str) or not isinstance(dataset, Dataset):
        raise ConfigError(
            "fit takes the name of a paper and a Dataset, in this order; make one with "
            "itemlm.load(name) or itemlm.Dataset.from_frames(events)."
        )
    module = papers.get(paper)
    config = configured(module, config, settings)
    if seed < 0:
        raise ConfigError(f"seed is {seed}, but must not be negative.")
    if refit and validation is not None:
        raise ConfigError("refit and validation exclude each other: refit adds what fit held out.")
    started = time.perf_counter()
    made_on: dict[str, Any] = {}
    if not learns_by_epochs(module):
        if refit:
            raise ConfigError(f"'{paper}' does not train by epochs, so there is nothing to refit.")
        if folder is not None:
            record_run(Path(folder), _facts(paper, dataset, config, None, seed))
        recommender: Recommender = module.fit(dataset, config, None)
        history: list[dict[str, Any]] = []
        seconds = time.perf_counter() - started
    else:
        train = dataset
        if validation is None:
            train, validation = hold_out_last(dataset, seed=seed)
        run = _run(paper, train, config, folder, validation, seed, device, quiet)
        recommender = module.fit(train, config, run)
        history = run.history
        seconds = run.seconds
        made_on = {
            "device": str(run.device),
            "precision": "bfloat16" if run.low_precision else "float32",
        }
        if refit:
            epochs = max(history, key=lambda r: r.get("validation NDCG@10", -1.0))["epoch"]
            config = replace(config, epochs=epochs, **recommender.chosen)
            again = None if folder is None else Path(folder) / "refit"
            run = _run(paper, dataset, config, again, None, seed, device, quiet)
            recommender = module.fit(dataset, config, run)
            seconds += run.seconds
    recommender.card |= {  # to what the paper has to tell
        "data": dataset.name,
        "data fingerprint": dataset.fingerprint,
        "seed": seed,
        "fit seconds": seconds,
        **made_on,
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
    made = from_mapping(module.Config, {**asdict(base), **settings}) if settings else base
    if hasattr(made, "learning_rate"):
        check_positive(made, "learning_rate")
    if hasattr(made, "weight_decay"):
        check_at_least(made, 0, "weight_decay")
    return made


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
    from itemlm.train.run import Run

    if folder is not None:
        record_run(Path(folder), _facts(paper, dataset, config, validation, seed))
    return Run(folder, seed=seed, validation=validation, device=device, quiet=quiet)


def _facts(
    paper: str, dataset: Dataset, config: Any, validation: HeldOut | None, seed: int
) -> dict[str, Any]:
    """What decides the result of a fit."""
    return {
        "paper": paper,
        "config": asdict(config),
        "seed": seed,
        "data": dataset.name,
        "data fingerprint": dataset.fingerprint,
        "catalog fingerprint": dataset.catalog_fingerprint,
        "validation fingerprint": validation.fingerprint if validation else None,
        "versions": {"itemlm": __version__},
    }
