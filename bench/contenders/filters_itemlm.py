"""itemlm's index of vectors, with its planner's defaults."""

from __future__ import annotations

import common
import nearest

from itemlm.retrieve.vector_index import VectorIndex

asked = common.settings()
vectors_ND, queries_BD, allowed_N = nearest.load(asked)
index = VectorIndex(vectors_ND)
mask_N = None if asked["share"] == 1 else allowed_N
nearest.report(asked, lambda: index.search(queries_BD, asked["k"], mask_N)[0], ("numpy",))
