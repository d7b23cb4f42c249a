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
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import polars as pl

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


def import_feast() -> None:
    """Import Feast without telemetry and without torch.

    Feast imports torch when it is installed (3 s, 240 MB) and nothing here needs that; torch itself can still be
    imported afterwards.
    """
    os.environ.setdefault("FEAST_USAGE", "False")
    blocks = not {"feast", "torch"} & sys.modules.keys()
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
            "sqlalchemy_config_kwargs": {"echo": False, "pool_size": 2, "pool_pre_ping": True},
        },
        online_store={"type": "redis", "connection_string": redis_connection(settings.redis.dsn())},
        offline_store={"type": "dask"},
        entity_key_serialization_version=3,
    )
    with quiet():
        return FeatureStore(config=config)


def release(store: FeatureStore) -> None:
    """Close the connections to the registry; the store opens new ones when it needs them."""
    registry: Any = store.registry  # the SQL registry, whose engines its base class does not know
    for engine in {registry.write_engine, registry.read_engine}:
        engine.dispose()


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


def publish(store: FeatureStore, newest: Mapping[str, pl.DataFrame], *, now: datetime) -> None:
    """Materialise the newest values of each entity: write them online, and note in the registry up to when.

    Feast's own ``materialize`` finds the newest rows with pandas and dask; polars has them at hand in a tenth of the
    time (features.compute.latest).

    Args:
        store: Whose registry knows the views (:func:`apply`).
        newest: Feature view name to one row per entity.
        now: Up to when.
    """
    with quiet():
        for name, rows in newest.items():
            if not rows.is_empty():
                store.write_to_online_store(name, rows.to_pandas())
                view = store.get_feature_view(name)
                store.registry.apply_materialization(view, PROJECT, _BEGINNING, now)
