"""Why a title is recommended, in words that its numbers bear out.

Belongs here: turning contributions into a sentence and a short list.
Does not belong here: the numbers (rungs).
"""

from __future__ import annotations

from typing import Any

from serving.content.catalogue import Catalogue
from serving.recommendations.rungs import Pick, Source

AT_MOST = 3
NAMED = 2


def reason(pick: Pick, source: Source, catalogue: Catalogue) -> dict[str, Any]:
    """``{"text", "because"}`` of one recommended title."""
    because = [
        {"content_id": content_id, "title": catalogue.name(content_id), "contribution": round(part, 6)}
        for content_id, part in pick.because.first(AT_MOST)
        if part > 0
    ]
    named = joined([str(item["title"]) for item in because[:NAMED]])
    if pick.is_new:
        start = "Nobody here has watched it yet" if pick.is_waiting else "New in your library"
        return {"text": f"{start}, close to {named}", "because": because}
    if source is Source.POPULAR:
        return {"text": "Popular with viewers of your server", "because": []}
    if not because or pick.because.total <= 0:
        return {"text": "Popular right now", "because": []}
    text = f"Because you watched {named}" if source is Source.CHAMPION else f"Close to {named}, which you watched"
    return {"text": text, "because": because}


def explanation(pick: Pick, catalogue: Catalogue) -> dict[str, Any]:
    """Every number behind one recommended title; history and static part add up to the score, and so do the model's parts."""
    return {
        "history": [
            {"content_id": content_id, "title": catalogue.name(content_id), "contribution": part}
            for content_id, part in pick.because
        ],
        "static": pick.static,
        "parts": [{"part": name, "contribution": value} for name, value in pick.parts],
    }


def joined(names: list[str]) -> str:
    """``A``, ``A and B``, ``A, B and C``."""
    return names[0] if len(names) == 1 else " and ".join([", ".join(names[:-1]), names[-1]]) if names else ""
