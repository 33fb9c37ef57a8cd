"""Encoders by name, for settings and the command line."""

from __future__ import annotations

from itemlm.encode import ItemEncoder


def encoder_named(name: str) -> ItemEncoder:
    """Either "lsa", or the name or path of a sentence-transformers model.

    Raises:
        MissingExtra: if sentence-transformers is needed and not installed.
    """
    if name == "lsa":
        from itemlm.encode.lsa import LSA

        return LSA()
    from itemlm.encode.sentence import SentenceTransformerEncoder

    return SentenceTransformerEncoder(name)
