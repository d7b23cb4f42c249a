"""Why was this recommended: from the id of an answer to the model, its training data and the raw rows that mattered.

Belongs here: putting the pieces together, with stable names. Does not belong here: reading each of them (lookup, model,
rows, support), how a person sees it (show).
"""

from __future__ import annotations

from typing import Any

import polars as pl

from nexus.lake.lake import Lake, opened
from nexus.served import ServedTitle
from nexus.settings import Settings
from serving.why import lookup, model, rows
from serving.why.support import Support

_TITLES = "core_nexus__titles"
Answer = dict[str, Any]


def explain(settings: Settings, text: str) -> Answer:
    """Everything about one answer.

    Raises:
        NexusError: ``invalid`` or ``not_found``, for the id.
    """
    recommendation_id = lookup.parse_id(text)
    with opened(settings) as lake:
        record, place = lookup.find(settings, lake, recommendation_id)
        known = model.describe(settings, record.model_version) if record.model_version is not None else None
        tables = model.tables_of(lake, known, record.data_version) if known is not None else {}
        wanted = {str(title.content_id) for title in record.titles}
        wanted |= {str(share.content_id) for title in record.titles for share in title.because}
        version = tables.get(model.TRAINING, record.data_version)
        support = Support(lake, version, wanted)
        events = {str(line.content_id): line.event_id for line in reversed(record.history)}
        titles = [_title(title, events, support) for title in record.titles]
        traced = rows.trace(settings, lake, _events_of(titles))
        names = {str(title.content_id): title.title for title in record.titles} | _names(lake, wanted)
    for title in titles:
        _fill(title, traced, names)
    return {
        "recommendation_id": str(record.recommendation_id),
        "served_at": record.served_at.isoformat(),
        "user_id": str(record.user_id),
        "rung": record.rung,
        "degraded": record.degraded,
        "found_in": place,
        "model": known,
        "data": {
            "table": model.TRAINING,
            "version": support.version,
            "is_exact": support.is_exact,
            "data_hash": record.data_hash,
            "tables": tables,
        },
        "history": [{"event_id": one.event_id, "content_id": str(one.content_id)} for one in record.history],
        "titles": titles,
    }


def _title(title: ServedTitle, events: dict[str, str], support: Support) -> Answer:
    content_id = str(title.content_id)
    return {
        "content_id": content_id,
        "title": title.title,
        "score": title.score,
        "is_new": title.is_new,
        "text": title.text,
        "viewers_with_title": support.alone(content_id),
        "reasons": [
            {
                "because": {"content_id": str(share.content_id), "contribution": share.contribution},
                "event_id": events.get(str(share.content_id)),
                "training": support.of((str(share.content_id), content_id)),
            }
            for share in title.because
        ],
    }


def _events_of(titles: list[Answer]) -> set[str]:
    named = {reason["event_id"] for title in titles for reason in title["reasons"] if reason["event_id"] is not None}
    for title in titles:
        for reason in title["reasons"]:
            named |= {one for example in reason["training"]["examples"] for one in example["event_ids"]}
    return named


def _fill(title: Answer, traced: dict[str, list[rows.Row]], names: dict[str, str]) -> None:
    for reason in title["reasons"]:
        because = reason["because"]
        because["title"] = names.get(because["content_id"])
        chain = traced.get(reason["event_id"] or "", [])
        reason["rows"] = [row for row in chain if not str(row["table"]).startswith("raw_")]
        reason["raw_rows"] = raw_only(chain)
        for example in reason["training"]["examples"]:
            example["raw_rows"] = [row for one in example["event_ids"] for row in raw_only(traced.get(one, []))]


def raw_only(chain: list[rows.Row]) -> list[rows.Row]:
    """The rows as they came in."""
    return [row for row in chain if str(row["table"]).startswith("raw_")]


def _names(lake: Lake, wanted: set[str]) -> dict[str, str]:
    if not lake.exists(_TITLES):
        return {}
    rows = lake.scan(_TITLES).filter(pl.col("content_id").is_in(sorted(wanted))).select("content_id", "title").collect()
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 (narrows the type)
    return dict(rows.iter_rows())
