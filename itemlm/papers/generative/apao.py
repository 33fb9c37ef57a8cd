"""APAO: train a code generator so that no beginning of the right path falls out of the beam.

Yu et al., "APAO: Adaptive Prefix-Aware Optimization for Generative Recommendation", 2026.
arXiv:2603.02730

The idea    Beam search drops a path as soon as one of its prefixes scores low, while cross-entropy
            looks at one code at a time. A loss on every prefix is added, and the weight moves to
            the prefix that is worst at the moment.
Departures  It changes TIGER of this house, with all departures of that page: one pass learns every
            item of a window. The point-wise form then does so too; the pair-wise form contrasts
            the last item of each window. Negatives may repeat.
Measured    docs/papers/apao.md
Shapes      none beyond TIGER's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from itemlm.config import check_at_least
from itemlm.data.dataset import Dataset
from itemlm.objectives.next_code import next_code
from itemlm.objectives.objective import Objective
from itemlm.objectives.prefix import pairwise_prefixes, pointwise_prefixes
from itemlm.papers.generative import tiger
from itemlm.papers.stages import Codes
from itemlm.recommender import Saved
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.train.run import Run
from itemlm.types import ConfigError


@dataclass(frozen=True, kw_only=True)
class Config(tiger.Config):
    """Settings of TIGER, and of what is added to its loss."""

    form: Literal["pointwise", "pairwise"] = "pointwise"  # likely, or likelier than other items
    beta: float = 0.1  # of the prefix losses, beside cross-entropy
    eta: float = 1.0  # how fast weight moves to the worst prefix; 0: in proportion to the losses
    temperature: float = 1.0  # of the scores of prefixes
    negatives: int = 100  # items drawn for each history, in the pair-wise form

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(self, 1, "negatives")
        check_at_least(self, 0, "beta", "eta")
        if self.temperature <= 0:
            raise ConfigError(f"temperature is {self.temperature}, but must be positive.")

    @classmethod
    def as_published(cls) -> Config:
        """The authors' encoder-decoder, its sizes, and their pair-wise form."""
        return cls(
            model="encoder_decoder",
            heads=6,
            inner=1024,
            dropout=0.1,
            form="pairwise",
            eta=0.0,
            beams=20,
            epochs=200,
            patience=20,
            validate_every=1,
            batch_size=1024,
            learning_rate=5e-4,
        )

    def objective(self, codes: Codes) -> Objective:
        """Cross-entropy and the prefix losses."""
        if self.form == "pointwise":
            return next_code() + self.beta * pointwise_prefixes(self.eta, self.temperature)
        return next_code() + self.beta * pairwise_prefixes(
            codes.codes_NL, self.negatives, self.eta, self.temperature
        )


def fit(dataset: Dataset, config: Config, run: Run) -> CodeBeam:
    """TIGER with another objective."""
    return tiger.learn("apao", dataset, config, run, config.objective)


def restore(saved: Saved) -> CodeBeam:
    """From saved parts."""
    return tiger.restored(saved, saved.config_of(Config))
