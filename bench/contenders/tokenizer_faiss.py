"""FAISS's ResidualQuantizer."""

from __future__ import annotations

import time

import common
import faiss
import numpy as np
import reconstruction

asked = common.settings()
faiss.omp_set_num_threads(asked["threads"])
vectors_ND = np.load(asked["vectors"])
bits = (asked["codes"] - 1).bit_length()
began = time.perf_counter()
quantizer = faiss.ResidualQuantizer(vectors_ND.shape[1], asked["levels"], bits)
quantizer.train_type = getattr(faiss.ResidualQuantizer, asked["train"])
quantizer.max_beam_size = asked["beam"]
quantizer.max_mem_distances = 1 << 30  # 5 GB by default: 7 GB in all with a million
quantizer.cp.niter = asked["rounds"]
quantizer.train(vectors_ND)
trained = time.perf_counter()
codes_NS = quantizer.compute_codes(vectors_ND)  # one byte per level, since codes have 8 bits
seconds = time.perf_counter() - began
common.report(
    values={"seconds": seconds, "training": trained - began},
    quality=reconstruction.quality(
        vectors_ND, codes_NS, lambda codes: quantizer.decode(codes.astype(np.uint8))
    ),
    versions=("faiss-cpu", "numpy"),
)
