"""Small pieces of Markdown, escaped, for pages made from code.

Belongs here: tables, cells, the line at the top of each page. Does not belong here: what a page says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    """One cell of a table: on one line, its bars escaped."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; empty when there are no rows."""
    lines = ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    if not lines:
        return ""
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines]) + "\n"


def page(title: str, made_from: str, *parts: str) -> str:
    """A page with its title and where it comes from."""
    return "\n\n".join([f"# {title}", f"Made by `bin/nexus docs` from {made_from}.", *filter(None, parts)]) + "\n"
