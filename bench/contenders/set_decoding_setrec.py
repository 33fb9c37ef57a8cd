"""SETRec with random weights: a set in one pass, and exact scores of all items."""

from __future__ import annotations

import sets
import torch

from itemlm.papers.generative.setrec import Config, _model
from itemlm.retrieve.dot import DotProduct

items = sets.asked["items"]
config = Config(length=sets.LENGTH, **sets.asked["shape"])
model = _model(config, torch.randn(items, 64), torch.randn(items, 256), torch.arange(items))
sets.race(DotProduct("setrec", model, sets.catalog, config, config.length))
