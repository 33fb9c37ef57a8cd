"""itemlm's code transformers as they are."""

from __future__ import annotations

import search

search.race(search.model())
