"""The registered models as plain data, read over MLflow's REST API: its client takes seconds to import.

Belongs here: the shape of a listed model, and reading the list. Does not belong here: changing anything (training.registry).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nexus.errors import unavailable
from nexus.settings import Settings, not_started

NEWEST = 200
WITHIN_S = 10.0
VERSIONS_PATH = "/api/2.0/mlflow/model-versions/search"
MODEL_PATH = "/api/2.0/mlflow/registered-models/get"
RUN_PATH = "/api/2.0/mlflow/runs/get"
METRICS_TAG = "metrics"


def versions_query(name: str) -> dict[str, str | int]:
    """Parameters of the search for a model's newest versions."""
    return {"filter": f"name='{name}'", "max_results": NEWEST, "order_by": "version_number DESC"}


def floors_of(
    run: Mapping[str, Any], *, measured: Sequence[str], without: Sequence[str]
) -> dict[str, dict[str, float]]:
    """The figures of the simple methods, out of an answer of :data:`RUN_PATH`: they are logged as ``<floor>.<figure>``.

    Args:
        run: The answer.
        measured: Names of the figures that the model has.
        without: Candidates that are no floors: the model itself.
    """
    floors: dict[str, dict[str, float]] = {}
    for metric in run.get("run", {}).get("data", {}).get("metrics", []):
        name, dot, figure = str(metric["key"]).partition(".")
        if dot and figure in measured and name not in without:
            floors.setdefault(name, {})[figure] = float(metric["value"])
    return floors


def listed(versions: Mapping[str, Any], model: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Both answers of the REST API as models, newest first.

    Args:
        versions: Answer of :data:`VERSIONS_PATH`.
        model: Answer of :data:`MODEL_PATH`; None when no model of this name is registered.
    """
    aliases: dict[str, list[str]] = {}
    for one in (model or {}).get("registered_model", {}).get("aliases", []):
        aliases.setdefault(str(one["version"]), []).append(one["alias"])
    models = [
        described(
            version=str(one["version"]),
            tags={tag["key"]: tag["value"] for tag in one.get("tags", ())},
            created_ms=int(one["creation_timestamp"]),
            aliases=aliases.get(str(one["version"]), []),
        )
        for one in versions.get("model_versions", [])
    ]
    return sorted(models, key=lambda found: -int(found["version"]))


def described(*, version: str, tags: Mapping[str, str], created_ms: int, aliases: Sequence[str]) -> dict[str, Any]:
    """One version: its figures are in its tags."""
    return {
        "version": version,
        "aliases": sorted(aliases),
        "metrics": json.loads(tags.get(METRICS_TAG, "{}")),
        "data_hash": tags.get("data_hash"),
        "created_at": datetime.fromtimestamp(created_ms / 1000, UTC).isoformat(),
        "kind": tags.get("kind"),
        "gate": tags.get("gate"),
        "protocol": tags.get("protocol", ""),
    }


def list_models(settings: Settings) -> list[dict[str, Any]]:
    """Every registered version, newest first.

    Raises:
        NexusError: ``unavailable`` when the registry does not answer.
    """
    import httpx

    if settings.mlflow.url is None:
        raise not_started("mlflow")
    name = settings.mlflow.model_name
    try:
        with httpx.Client(base_url=settings.mlflow.url, timeout=WITHIN_S, trust_env=False) as client:
            versions = client.get(VERSIONS_PATH, params=versions_query(name)).raise_for_status().json()
            model = client.get(MODEL_PATH, params={"name": name})
            known = None if model.status_code == httpx.codes.NOT_FOUND else model.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise unavailable(
            "the model registry does not answer",
            remedy="run bin/nexus status; bin/nexus logs mlflow says why",
            field="mlflow.url",
            cause=str(error)[:200],
        ) from error
    return listed(versions, known)
