"""RQ-VAE: an autoencoder whose latent is written as a few codes; TIGER's tokenizer.

Rajput et al., "Recommender Systems with Generative Retrieval", NeurIPS 2023, section 3.1, after
Lee et al., "Autoregressive Image Generation using Residual Quantization", CVPR 2022.

The idea    An encoder maps an item's vector x to a latent z. Each level picks the codeword e
            nearest to the residual r that the levels before left over. The decoder restores x from
            the sum of codewords. Two losses add up:

                reconstruction  |x - decode(sum of e)|^2
                quantization    sum over levels of |sg[r] - e|^2 + commitment * |r - sg[e]|^2

            sg stops gradients: the first term draws codewords to residuals, the second residuals
            to codewords. No gradient passes the choice of a codeword, so the decoder's gradient is
            handed to z as it is (straight through).
Against     collapse to a few codes, which raw inputs and the paper's optimizer are prone to: inputs
            are standardized per dimension, codebooks start from k-means, and every few epochs
            unused codewords are put where residuals are.

Shapes      N items, B of a batch, D width of vectors, H latent width, S levels, K codes of a level.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from itemlm.tokenize.kmeans import Vectors, fit_kmeans, nearest
from itemlm.tokenize.lookup import prefix_groups
from itemlm.tokenize.quantizer import Layer, Quantizer, directions
from itemlm.tokenize.ties import spread_ties
from itemlm.tokenize.tokens import SPARE, ItemTokens, unique
from itemlm.types import ConfigError, FloatArray, IntArray, MissingExtra

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F
except ModuleNotFoundError as error:
    raise MissingExtra("the RQ-VAE tokenizer", "torch") from error
