"""The registered models as people ask for them: from the registry's REST API, or what is known without it.

Belongs here: reading MLflow over HTTP (its client is never loaded here).
Does not belong here: promotion (training.registry), the served model (champion).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import httpx

from nexus import logs
from nexus.settings import Settings
from serving.models.champion import Champion
from training import catalog
from training.bundle_format import TRAINED, Manifest

WITHIN_S = 2.0
FRESH_S = 5.0
WITH_FLOORS = 50
"""The newest versions are shown beside their floors."""
_LOG = logs.get(__name__)


class Models:
    """Lists models."""

    def __init__(self, settings: Settings, champion: Callable[[], Champion | None]) -> None:
        self._name = settings.mlflow.model_name
        self._url = settings.mlflow.url
        self._champion = champion
        self._kept: list[dict[str, Any]] | None = None
        self._kept_at = float("-inf")
        self._floors: dict[str, dict[str, dict[str, float]]] = {}
        self.is_up: bool | None = None

    async def probe(self) -> None:
        """Find out whether the registry answers."""
        await self._registered()

    async def listed(self) -> dict[str, Any]:
        """Every registered version, newest first, and which one is served here."""
        champion = self._champion()
        manifest = champion.manifest if champion else None
        found = await self._registered()
        is_fallback = found is None
        models = found if found is not None else ([_from_manifest(manifest)] if manifest else [])
        for model in models:
            if manifest is not None and model["version"] == manifest.version:
                model |= {"floors": manifest.floors, "protocol": manifest.protocol, "kind": manifest.kind}
                model["metrics"] = model["metrics"] or manifest.metrics
        return {
            "models": models,
            "current": manifest.version if manifest else None,
            "registry": "away" if is_fallback else "up",
        }

    async def _registered(self) -> list[dict[str, Any]] | None:
        if monotonic() - self._kept_at < FRESH_S:
            return self._kept
        self._kept_at = monotonic()
        self._kept = None
        if self._url is not None:
            try:
                async with asyncio.timeout(WITHIN_S), httpx.AsyncClient(base_url=self._url, trust_env=False) as client:
                    self._kept = await self._ask(client)
            except (httpx.HTTPError, TimeoutError, ValueError, KeyError) as error:
                _LOG.warning("registry_not_read", cause=type(error).__name__, reason=str(error)[:200])
        self.is_up = self._kept is not None
        return self._kept

    async def _ask(self, client: httpx.AsyncClient) -> list[dict[str, Any]]:
        versions = await client.get(catalog.VERSIONS_PATH, params=catalog.versions_query(self._name))
        model = await client.get(catalog.MODEL_PATH, params={"name": self._name})
        known = None if model.status_code == httpx.codes.NOT_FOUND else model.raise_for_status().json()
        found = versions.raise_for_status().json()
        runs = {str(one["version"]): one.get("run_id", "") for one in found.get("model_versions", [])}
        models = catalog.listed(found, known)
        for one in models[:WITH_FLOORS]:
            one["floors"] = await self._floors_of(client, runs[one["version"]], one)
        return [{"floors": {}} | one for one in models]

    async def _floors_of(self, client: httpx.AsyncClient, run_id: str, model: dict[str, Any]) -> dict[str, Any]:
        """What a run logged of the simple methods; a run never changes, so it is asked once."""
        if run_id and run_id not in self._floors:
            answer = await client.get(catalog.RUN_PATH, params={"run_id": run_id})
            if answer.is_success:
                without = (model["kind"] or "", *TRAINED)
                self._floors[run_id] = catalog.floors_of(
                    answer.json(), measured=list(model["metrics"]), without=without
                )
        return self._floors.get(run_id, {})


def _from_manifest(manifest: Manifest) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "aliases": ["champion"],
        "metrics": manifest.metrics,
        "data_hash": manifest.data_hash,
        "created_at": manifest.created_at,
        "floors": manifest.floors,
        "protocol": manifest.protocol,
        "kind": manifest.kind,
    }
