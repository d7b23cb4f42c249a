"""The registry of models: what is registered, and which version is champion.

Belongs here: aliases and their changes, over the MLflow client. Does not belong here: the files that are served
(training.bundle), the decision (training.gate), runs (training.tracking).

Aliases: ``challenger`` (newest candidate), ``champion`` (served), ``previous`` (served before it). Every change is a series
of steps that ends with the pointer; a crash in between is repaired by asking for the same change again.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nexus import logs
from nexus.errors import Category, NexusError, not_found, unavailable
from nexus.lake.spark import import_pyspark_safely
from nexus.settings import Settings, not_started
from training import bundle
from training.bundle_format import read_pointer, write_pointer
from training.catalog import described

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
ROLLED_BACK_TAG, ARCHIVED_TAG = "rolled_back_at", "archived_at"
COMPARISON_TAG = "comparison_only"
"""Why an imported version is not to be served (training.importing)."""


def client(settings: Settings) -> MlflowClient:
    """A client of the tracking server."""
    if settings.mlflow.url is None:
        raise not_started("mlflow")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import_pyspark_safely()
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(settings.mlflow.url)
    mlflow.set_registry_uri(settings.mlflow.url)
    found = mlflow.MlflowClient(settings.mlflow.url, registry_uri=settings.mlflow.url)
    try:
        found.search_registered_models(max_results=1)
    except MlflowException as error:
        raise unavailable(
            "the model registry does not answer",
            remedy="run bin/nexus status; bin/nexus logs mlflow says why",
            field="mlflow.url",
            cause=str(error)[:200],
        ) from error
    return found


def list_models(settings: Settings) -> list[dict[str, Any]]:
    """Every registered version, newest first: version, aliases, metrics, data_hash, created_at."""
    registry, name = client(settings), settings.mlflow.model_name
    aliases: dict[str, list[str]] = {}
    for alias, version in _aliases(registry, name).items():
        aliases.setdefault(version, []).append(alias)
    return [
        described(
            version=str(found.version),
            tags=found.tags,
            created_ms=found.creation_timestamp,
            aliases=aliases.get(str(found.version), []),
        )
        for found in versions(registry, name)
    ]


def versions(registry: MlflowClient, name: str) -> list[ModelVersion]:
    """Every version of a model, newest first."""
    found = registry.search_model_versions(f"name='{name}'", max_results=1000)
    return sorted(found, key=lambda one: -int(one.version))


def aliased(registry: MlflowClient, name: str, alias: str) -> str | None:
    """The version that has this alias."""
    return _aliases(registry, name).get(alias)


def promote(settings: Settings, version: str) -> None:
    """Make a version champion; what was champion becomes previous.

    Raises:
        NexusError: ``not_found`` for an unknown version, ``conflict`` for one that is there for comparison only,
            ``unavailable`` when the registry is away.
    """
    registry, name = client(settings), settings.mlflow.model_name
    reason = require(registry, name, version).tags.get(COMPARISON_TAG)
    if reason:
        raise NexusError(
            f"version {version} is registered for comparison only: {reason}",
            category=Category.CONFLICT,
            field="version",
            value=version,
            remedy="train on the platform's own data: bin/nexus train RECIPE --data training_nexus__examples --out DIR",
        )
    bundle.publish(settings, registry, version)
    current = aliased(registry, name, CHAMPION)
    if current not in (None, version):
        registry.set_registered_model_alias(name, PREVIOUS, current)
    registry.set_registered_model_alias(name, CHAMPION, version)
    if aliased(registry, name, CHALLENGER) == version:
        registry.delete_registered_model_alias(name, CHALLENGER)
    if aliased(registry, name, PREVIOUS) == version:
        registry.delete_registered_model_alias(name, PREVIOUS)
    write_pointer(settings.bundle_url, version)
    logs.get(__name__).info("model_promoted", model=name, version=version, previous=current)


def rollback(settings: Settings) -> str:
    """Serve the previous version again; the champion keeps no alias and is marked, so that no gate promotes it again.

    Returns:
        The version that is served now.

    Raises:
        NexusError: ``not_found`` when no previous version is known.
    """
    registry, name = client(settings), settings.mlflow.model_name
    target, served = aliased(registry, name, PREVIOUS), read_pointer(settings.bundle_url)
    if target is None or target == served:
        raise not_found(
            "no previous champion is known",
            field="previous",
            value=served,
            remedy="promote a version by its number: bin/nexus models list, bin/nexus models promote VERSION",
        )
    bundle.publish(settings, registry, target)
    if served is not None:
        registry.set_model_version_tag(name, served, ROLLED_BACK_TAG, datetime.now(UTC).isoformat(timespec="seconds"))
    registry.set_registered_model_alias(name, CHAMPION, target)
    write_pointer(settings.bundle_url, target)
    registry.delete_registered_model_alias(name, PREVIOUS)
    logs.get(__name__).info("model_rolled_back", model=name, version=target, instead_of=served)
    return target


def archive(settings: Settings, version: str) -> None:
    """Mark a version as one that nobody will rebuild.

    Raises:
        NexusError: ``not_found`` for an unknown version, ``conflict`` for one that has an alias.
    """
    registry, name = client(settings), settings.mlflow.model_name
    require(registry, name, version)
    in_use = sorted(alias for alias, holder in _aliases(registry, name).items() if holder == version)
    if in_use:
        raise NexusError(
            f"version {version} is {', '.join(in_use)}",
            category=Category.CONFLICT,
            field="version",
            value=version,
            remedy="promote another version first: bin/nexus models promote VERSION",
        )
    registry.set_model_version_tag(name, version, ARCHIVED_TAG, datetime.now(UTC).isoformat(timespec="seconds"))


def require(registry: MlflowClient, name: str, version: str) -> ModelVersion:
    """The version, or an error that names it."""
    from mlflow.exceptions import MlflowException

    try:
        return registry.get_model_version(name, version)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise not_found(
                f"model {name} has no such version",
                field="version",
                value=version,
                remedy="take one from bin/nexus models list",
            ) from None
        raise NexusError(
            "the model registry refused to answer", category=Category.UNAVAILABLE, cause=str(error)[:200]
        ) from error


def _aliases(registry: MlflowClient, name: str) -> dict[str, str]:
    from mlflow.exceptions import MlflowException

    try:
        return {alias: str(version) for alias, version in registry.get_registered_model(name).aliases.items()}
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
