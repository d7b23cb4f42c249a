"""The feature store: Feast over a SQL registry in Postgres, Redis online, the lake offline.

Belongs here: configuration, applying the repository, publishing the newest values.
Does not belong here: definitions (features.definitions), reading online while serving (features.online).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy.pool import NullPool

from features.definitions import Repository, repository
from nexus.errors import invalid
from nexus.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore

PROJECT: Final = "nexus"
_TIMEOUT_S: Final = 2.0
_BEGINNING: Final = datetime(1970, 1, 2, tzinfo=UTC)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Feast's coloured progress and its warnings about its own deprecations to itself."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def import_feast(*, without_torch: bool = False) -> None:
    """Import Feast without telemetry.

    Args:
        without_torch: Feast imports torch when it is installed, for 240 MB; a process that never needs torch
            may refuse it.
    """
    os.environ.setdefault("FEAST_USAGE", "False")
    blocks = without_torch and not {"feast", "torch"} & sys.modules.keys()
    if blocks:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        with quiet():
            import feast  # noqa: F401
    finally:
        if blocks:
            del sys.modules["torch"]


def feature_store(settings: Settings) -> FeatureStore:
    """The store that the settings describe; nothing is read from files."""
    import_feast()
    from feast import FeatureStore, RepoConfig

    config = RepoConfig(
        project=PROJECT,
        provider="local",
        registry={
            "registry_type": "sql",
            "path": settings.postgres.owner_url(driver="psycopg", database=settings.postgres.feast_database),
            "cache_ttl_seconds": 0,  # never stale by age: who applies refreshes, who serves reads once
            "sqlalchemy_config_kwargs": {"echo": False, "poolclass": NullPool},
        },
        online_store={"type": "redis", "connection_string": redis_connection(settings.redis.dsn())},
        offline_store={"type": "dask"},
        entity_key_serialization_version=3,
    )
    with quiet():
        return FeatureStore(config=config)


def redis_connection(dsn: str) -> str:
    """A redis:// URL in Feast's own spelling.

    Raises:
        NexusError: category ``invalid`` when Feast could not read it back.
    """
    parts = urlsplit(dsn)
    options: dict[str, Any] = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
    options |= dict(parse_qsl(parts.query))
    if parts.path.strip("/"):
        options["db"] = int(parts.path.strip("/"))
    if parts.scheme == "rediss":
        options["ssl"] = True
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    if any("," in str(value) for value in options.values()):
        raise invalid(
            "Feast cannot take a comma in the Redis URL",
            field="redis.url",
            value="(hidden)",
            remedy="choose a password without a comma",
        )
    written = ",".join(f"{name}={json.dumps(value)}" for name, value in options.items())
    return f"{parts.hostname or '127.0.0.1'}:{parts.port or 6379},{written}"


def apply(store: FeatureStore, settings: Settings) -> Repository:
    """Write the repository's definitions to the registry; unchanged ones stay."""
    with quiet():
        built = repository(settings.lake_url)
        store.apply(built.objects())
    return built


def publish(store: FeatureStore, names: Iterable[str], *, now: datetime) -> None:
    """Write the newest values of each entity to the online store, and note in the registry that it was done.

    Args:
        store: Whose registry knows the views (:func:`apply`).
        names: The feature views whose tables have rows.
        now: Up to when.
    """
    wanted = list(names)
    if wanted:
        with quiet():
            store.materialize(_BEGINNING, now, feature_views=wanted)
