"""Pieces of words, learned from texts: frequent words stay whole, rare ones fall apart.

Byte-pair encoding (Gage 1994; Sennrich, Haddow and Birch, ACL 2016): start from single characters
and join the pair of neighbors that is most frequent, again and again. A piece that begins a word is
marked, so that "polish" and the end of "repolish" are different pieces.

The texts that are spelled are those that the pieces were learned from, so no piece is unknown.
"""

from __future__ import annotations

import heapq
import html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from itemlm.types import ConfigError

START = "▁"  # marks a piece that begins a word
WORD = re.compile(r"\w+")

Pair = tuple[str, str]


def words(text: str) -> list[str]:
    """Runs of letters and digits, in lower case and without accents."""
    text = unicodedata.normalize("NFKD", html.unescape(text).lower())
    return WORD.findall("".join(mark for mark in text if not unicodedata.combining(mark)))


def spelled(texts: Sequence[str], size: int) -> list[list[str]]:
    """Each text as pieces.

    Args:
        texts: to learn from and to spell.
        size: different pieces to learn; all single characters that occur are pieces in any case.

    Raises:
        ConfigError: if `size` is not positive.
    """
    if size < 1:
        raise ConfigError(f"size is {size}, but at least 1 piece is needed.")
    texts_of_words = [words(text) for text in texts]
    counts = Counter(word for found in texts_of_words for word in found)
    pieces_of = dict(zip(counts, _joined(counts, size), strict=True))
    return [[piece for word in found for piece in pieces_of[word]] for found in texts_of_words]


def _joined(counts: Counter[str], size: int) -> list[list[str]]:
    """The pieces of every word, in the order of the words."""
    spellings = [[START + word[0], *word[1:]] for word in counts]
    times = list(counts.values())
    pieces = {piece for spelling in spellings for piece in spelling}
    pair_counts: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for number, spelling in enumerate(spellings):
        for pair in pairwise(spelling):
            pair_counts[pair] += times[number]
            where[pair].add(number)
    # Counts only fall while a pair waits; one that has fallen goes back with its count of now.
    heap = [(-count, pair) for pair, count in pair_counts.items()]
    heapq.heapify(heap)
    while heap and len(pieces) < size:
        claimed, pair = heapq.heappop(heap)
        count = pair_counts[pair]
        if count != -claimed:
            if count > 0:
                heapq.heappush(heap, (-count, pair))
            continue
        pieces.add("".join(pair))
        touched: set[Pair] = set()
        for number in where.pop(pair):
            before = spellings[number]
            after = _join(before, pair)
            spellings[number] = after
            for old in pairwise(before):
                pair_counts[old] -= times[number]
            for new in pairwise(after):
                pair_counts[new] += times[number]
                where[new].add(number)
            touched.update(pairwise(after))
        for new in sorted(touched):
            if pair[0] + pair[1] in new:
                heapq.heappush(heap, (-pair_counts[new], new))
    return spellings


def _join(spelling: list[str], pair: Pair) -> list[str]:
    """The spelling with every such pair made one piece, from the left."""
    joined: list[str] = []
    place = 0
    while place < len(spelling):
        if tuple(spelling[place : place + 2]) == pair:
            joined.append(pair[0] + pair[1])
            place += 2
        else:
            joined.append(spelling[place])
            place += 1
    return joined
