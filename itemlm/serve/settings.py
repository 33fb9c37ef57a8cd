"""Settings of a service: what an operator decides once, from a TOML file or the command line.

[limits]
max_k = 100

[scenarios.homepage]
k = 12
filter = "in_stock == true"
max_per = {brand = 2}

[experiments.new-model]
groups = {control = "sasrec", treatment = "tiger"}
shares = {control = 0.9, treatment = 0.1}
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from itemlm.serve.schemas import Name, Shaping
from itemlm.types import ConfigError


class Settings(BaseModel):
    """Common to all parts of the settings: unknown keys are refused, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(Settings):
    """What one request may ask for, and what all together may."""

    max_k: Annotated[int, Field(ge=1, le=1000)] = 100  # places in a slate
    max_body: Annotated[int, Field(ge=1000)] = 2**20  # bytes of a request
    requests_per_second: Annotated[float, Field(gt=0)] = (
        1000  # of each key, or address without keys
    )
    burst: Annotated[int, Field(ge=1)] = 2000  # requests at once beyond that
    budget_ms: Annotated[float, Field(gt=0)] = 250  # expected waiting beyond which is turned away
    timeout_ms: Annotated[float, Field(gt=0)] = 2000  # after which a fallback answers
    drain_seconds: Annotated[float, Field(gt=0)] = 10  # to finish requests when told to stop


class Batching(Settings):
    """How requests are put together for the model."""

    max_batch: Annotated[int, Field(ge=1)] = 64
    threads: Annotated[int, Field(ge=0)] = (
        0  # of the model's arithmetic; 0: OMP_NUM_THREADS, else all cores but one
    )


class Retention(Settings):
    """How long what people did is kept; forever where None."""

    events_days: Annotated[int | None, Field(ge=1)] = None
    recommendations_days: Annotated[int | None, Field(ge=1)] = 90


class Experiment(Settings):
    """Models that people are shared among; everyone stays in their group.

    Of several experiments that hold for a request, the first counts.
    """

    groups: Annotated[dict[Name, Name], Field(min_length=2)]  # name of the group: its model
    shares: dict[Name, Annotated[float, Field(gt=0)]] = {}  # of people; equal if not given

    scenario: Name | None = None  # only requests of this scenario; all if not given

    @model_validator(mode="after")
    def _fits(self) -> Experiment:
        if self.shares and set(self.shares) != set(self.groups):
            raise ValueError(
                f"shares are given for {', '.join(self.shares)}, but the groups are "
                f"{', '.join(self.groups)}"
            )
        return self


class ServiceSettings(Settings):
    """All of them."""

    limits: Limits = Limits()
    batching: Batching = Batching()
    retention: Retention = Retention()
    scenarios: dict[Name, Shaping] = {}
    experiments: dict[Name, Experiment] = {}
    shadow: Name | None = None  # a model that is asked everything too, whose answers nobody sees
    cors: list[str] = []  # origins of web pages that may ask from a browser
    hosts: list[str] = []  # names of this service besides localhost
    history_length: Annotated[int, Field(ge=1, le=1000)] = 200  # most recent stored events used

    @property
    def named_models(self) -> dict[str, str]:
        """Models that the settings name, and where they do."""
        named = {
            scenario.model: f"scenarios.{name}.model"
            for name, scenario in self.scenarios.items()
            if scenario.model is not None
        }
        for name, experiment in self.experiments.items():
            named |= {
                model: f"experiments.{name}.groups.{group}"
                for group, model in experiment.groups.items()
            }
        return named if self.shadow is None else {**named, self.shadow: "shadow"}

    @classmethod
    def read(cls, path: Path) -> ServiceSettings:
        """From a TOML file.

        Raises:
            ConfigError: if it cannot be read, naming the setting.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}.") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{path}: {where}: {first['msg']}.") from error
