"""FAISS's approximate indexes with a selector of items; an index is built once and kept."""

from __future__ import annotations

from pathlib import Path

import common
import faiss
import nearest
import numpy as np

EF_SEARCH, LISTS_READ = 200, 32

asked = common.settings()
faiss.omp_set_num_threads(asked["threads"])
vectors_ND, queries_BD, allowed_N = nearest.load(asked)
path = Path(asked["vectors"]).with_suffix(f".{asked['index'].replace(',', '-')}.faiss")
if not path.exists():
    made = faiss.index_factory(vectors_ND.shape[1], asked["index"], faiss.METRIC_INNER_PRODUCT)
    made.train(vectors_ND)
    made.add(vectors_ND)
    aside = path.with_suffix(".partial")
    faiss.write_index(made, str(aside))
    aside.rename(path)
index = faiss.read_index(str(path))
selector = None
if asked["share"] < 1:
    bits = np.packbits(allowed_N, bitorder="little")
    selector = faiss.IDSelectorBitmap(bits)
if asked["index"].startswith("HNSW"):
    chosen = faiss.SearchParametersHNSW(efSearch=EF_SEARCH, sel=selector)
else:
    chosen = faiss.SearchParametersIVF(nprobe=LISTS_READ, sel=selector)
nearest.report(
    asked, lambda: index.search(queries_BD, asked["k"], params=chosen)[1], ("faiss-cpu", "numpy")
)
