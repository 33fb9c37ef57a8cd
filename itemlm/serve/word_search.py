"""Words to items, letter by letter, over a catalog that changes while it is searched.

Items are found by BM25 (tantivy's), with words of the title counting more than those of the rest.
The last word may be unfinished, a word that no item has may have one wrong letter, and accents and
capitals do not matter. What people type is only ever split into words: it is no query language.

Shapes      M items of one change, N item rows that a filter knows, K items found.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from itemlm.types import BoolArray, DataError, FloatArray, IntArray, MissingExtra

TITLE_WEIGHT = 2.0
UNFINISHED_WEIGHT = 0.5  # of a word that only begins as the last one does
TYPO_WEIGHT = 0.5
TYPO_LETTERS = 5  # that a word has at least, to be forgiven one
OVER_FETCH = 2.0  # items asked for under a filter, times what is needed on average
MAX_WORDS = 32  # of a search; more are not read
LONGEST_WORD = 40  # bytes; longer ones are codes or noise
WRITER_BYTES = 64_000_000  # of changes held in memory before they are written into the index
FIELDS = {"title": TITLE_WEIGHT, "rest": 1.0}


class WordSearch:
    """A full-text index of items by their row, in memory. Needs the extra `serve`.

    Any number of threads may search it and change it.

    Raises:
        MissingExtra: if tantivy is not installed.
    """

    def __init__(self) -> None:
        try:
            import tantivy
        except ModuleNotFoundError as error:
            raise MissingExtra("searching items by words", "serve") from error
        self._library = tantivy
        schema = tantivy.SchemaBuilder()
        schema.add_unsigned_field("row", indexed=True, fast=True)
        for name in FIELDS:
            # Neither phrases nor the texts themselves are ever asked for.
            schema.add_text_field(name, stored=False, tokenizer_name="folded", index_option="freq")
        self._schema = schema.build()
        self._index = tantivy.Index(self._schema)
        filters = tantivy.Filter
        self._words = (
            tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
            .filter(filters.remove_long(LONGEST_WORD))
            .filter(filters.lowercase())
            .filter(filters.ascii_fold())
            .build()
        )
        self._index.register_tokenizer("folded", self._words)
        self._index.config_reader("manual")
        # One thread keeps items in the order given, which decides between equal scores.
        self._writer = self._index.writer(WRITER_BYTES, num_threads=1)
        self._writing = threading.Lock()
        self._rows: set[int] = set()

    def __len__(self) -> int:
        return len(self._rows)

    # --- Changing -----------------------------------------------------------------------------

    def put(self, rows: Sequence[int], titles: Sequence[str], texts: Sequence[str]) -> None:
        """Add items, or replace those whose rows are there; found by searches from now on.

        Args:
            rows: [M] of the items, counted from 0.
            titles: [M].
            texts: [M] all else by which they are to be found; "" if there is nothing.

        Raises:
            DataError: if there are not as many rows as titles and texts, or a row is negative.
        """
        if not len(rows) == len(titles) == len(texts):
            raise DataError(
                f"{len(rows)} rows came with {len(titles)} titles and {len(texts)} texts; there "
                "must be one of each per item."
            )
        if len(rows) and min(rows) < 0:
            raise DataError(f"an item has the row {min(rows)}, but rows are counted from 0.")
        # The last of several with one row is the one that counts.
        latest = {int(row): place for place, row in enumerate(rows)}
        made = []
        for row, place in latest.items():
            item = self._library.Document()
            item.add_unsigned("row", row)
            item.add_text("title", _composed(titles[place]))
            item.add_text("rest", _composed(texts[place]))
            made.append(item)
        with self._writing:
            self._delete(self._rows & latest.keys())
            for item in made:
                self._writer.add_document(item)
            self._show()
            self._rows |= latest.keys()

    def remove(self, rows: Sequence[int]) -> None:
        """Take items out; rows that are not there are no mistake."""
        with self._writing:
            gone = {int(row) for row in rows} & self._rows
            if gone:
                self._delete(gone)
                self._show()
                self._rows -= gone

    def _delete(self, rows: set[int]) -> None:
        # Not by term: tantivy's Python binding takes the number for a signed one, and finds none.
        if rows:
            query = self._library.Query.term_set_query(self._schema, "row", list(rows))
            self._writer.delete_documents_by_query(query)

    def _show(self) -> None:
        """Let searches see what was written."""
        self._writer.commit()
        self._index.reload()

    # --- Searching ----------------------------------------------------------------------------

    def search(
        self, text: str, k: int, allowed_N: BoolArray | None = None
    ) -> tuple[IntArray, FloatArray]:
        """The items that fit a text best, best first.

        Args:
            text: anything that people type. One without words finds nothing.
            k: items at most.
            allowed_N: which rows may be found; those beyond it may not. None means all.

        Returns:
            rows_K int64 and scores_K float32, with K below k where fewer items fit.

        Raises:
            DataError: if k is not positive.
        """
        if k < 1:
            raise DataError(f"k is {k}, but at least one item must be asked for.")
        searcher = self._index.searcher()
        query, most = self._query(searcher, text), int(searcher.num_docs)
        rows_K, scores_K = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        # A filter drops some of what is found, so more is asked for until enough is left.
        limit = k
        if allowed_N is not None:
            allowed = max(1, int(np.count_nonzero(allowed_N)))
            limit = k + int(OVER_FETCH * k * len(allowed_N) / allowed)
        while query is not None and most:
            limit = min(limit, most)
            hits = searcher.search(query, limit, count=False).hits
            places = [place for _, place in hits]
            rows_K = np.array(searcher.fast_field_values("row", places), dtype=np.int64)
            scores_K = np.array([score for score, _ in hits], dtype=np.float32)
            if allowed_N is not None:
                fit_K = rows_K < len(allowed_N)
                fit_K[fit_K] = allowed_N[rows_K[fit_K]]
                rows_K, scores_K = rows_K[fit_K], scores_K[fit_K]
            if len(rows_K) >= k or len(hits) < limit or limit == most:
                break
            limit *= 2
        return rows_K[:k], scores_K[:k]

    def _query(self, searcher: Any, text: str) -> Any:
        """What is asked of tantivy; None if the text has no words."""
        words = self._words.analyze(_composed(text))[:MAX_WORDS]
        if not words:
            return None
        parts = [self._spelled(searcher, word, last=False) for word in dict.fromkeys(words[:-1])]
        parts.append(self._spelled(searcher, words[-1], last=True))
        return self._any(parts)

    def _spelled(self, searcher: Any, word: str, *, last: bool) -> Any:
        """Items with a word, which may go on if it is the last; failing that, with one typo."""
        wanted = self._spellings(word, typos=0, last=last)
        if len(word) < TYPO_LETTERS or searcher.search(wanted, 1, count=False).hits:
            return wanted
        return self._spellings(word, typos=1, last=last)

    def _spellings(self, word: str, *, typos: int, last: bool) -> Any:
        """A word in any field, at its weight; finished words count for more."""
        query = self._library.Query
        parts = []
        for name, weight in FIELDS.items():
            field = (self._schema, name, word)
            if typos:
                near = query.fuzzy_term_query(*field, typos)
                parts.append(query.boost_query(near, TYPO_WEIGHT * weight))
            else:
                parts.append(query.boost_query(query.term_query(*field, "freq"), weight))
            if last:
                # All that begin so score the same: what is rare is no better a guess.
                begun = query.fuzzy_term_query(*field, typos, prefix=True)
                parts.append(query.boost_query(begun, UNFINISHED_WEIGHT * weight))
        return self._any(parts)

    def _any(self, parts: Sequence[Any]) -> Any:
        should = self._library.Occur.Should
        return self._library.Query.boolean_query([(should, part) for part in parts])


def _composed(text: str) -> str:
    """A text with every accent in its letter, and without halves of characters."""
    return unicodedata.normalize("NFKC", text).encode("utf-8", "replace").decode()
