"""The text of a title that is embedded, and its hash.

Belongs here: how facts become a sentence. The same facts give the same text, so its hash tells whether a stored
vector is current. Does not belong here: the model (media.text.embedder).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

MAX_OVERVIEW = 2_000
"""Characters of an overview that are used; the model reads 128 tokens at most."""

_NO_GENRE = frozenset({"", "(no genres listed)"})


def describe(title: str, year: int | None = None, genres: Sequence[str] = (), overview: str | None = None) -> str:
    """One line about a title: ``Toy Story (1995). Adventure, Animation, Children. <overview>``.

    Args:
        title: Its name; blanks are collapsed. A year that already stands at its end is not said twice.
        year: When it came out.
        genres: In any order; they are sorted, so that the order of a source does not matter.
        overview: What it is about.
    """
    name = " ".join(title.split())
    if year is not None and not name.endswith(f"({year})"):
        name = f"{name} ({year})"
    kinds = sorted({" ".join(genre.split()) for genre in genres} - _NO_GENRE)
    plot = " ".join((overview or "").split())[:MAX_OVERVIEW]
    return " ".join(
        f"{part}." if not part.endswith((".", "!", "?")) else part for part in (name, ", ".join(kinds), plot) if part
    )


def text_hash(text: str, model: str) -> str:
    """Hash of a text under a model: equal hashes, equal vectors."""
    return hashlib.sha256(f"{model}\0{text}".encode()).hexdigest()
