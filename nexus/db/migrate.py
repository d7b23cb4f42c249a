"""Brings a Postgres server to the state that this version of the code expects.

Belongs here: the order (databases, roles, revisions) and the lock that makes two callers at once safe.
Does not belong here: the SQL of the schemas (migrations/versions), passwords and grants of roles (nexus.db.roles).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

from nexus.db import roles
from nexus.errors import Category, NexusError, unavailable
from nexus.settings import Settings

_LOCK = 7_306_571_001
_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(settings: Settings, *, revision: str = "head") -> str:
    """Create what is missing and bring the schemas to a revision.

    Idempotent; a second caller at the same time waits for the first.

    Returns:
        The revision that the database is at.
    """
    with _alone(settings) as maintenance:
        roles.ensure_databases(maintenance, settings)
        roles.ensure_roles(maintenance, settings)
        _refuse_newer(settings)
        with _alembic(settings) as config:
            command.upgrade(config, revision)
        roles.restrict(maintenance, settings)
        return current(settings) or ""


def downgrade(settings: Settings, *, revision: str = "base") -> None:
    """Take the schemas back to a revision. What they held is lost."""
    with _alone(settings), _alembic(settings) as config:
        command.downgrade(config, revision)


def current(settings: Settings) -> str | None:
    """The revision that the database is at; None: none."""
    with _engine(settings) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table_schema": "public"})
        return context.get_current_revision()


def head() -> str:
    """The revision that this version of the code expects."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return ScriptDirectory.from_config(config).get_current_head() or ""


def is_known(revision: str | None) -> bool:
    """Whether this version of the code has the revision; None, an empty database, is known."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return revision is None or revision in {
        script.revision for script in ScriptDirectory.from_config(config).walk_revisions()
    }


def _refuse_newer(settings: Settings) -> None:
    """A database that a later version of NEXUS has changed is not touched by this one."""
    found = current(settings)
    if not is_known(found):
        raise NexusError(
            "the database is newer than this version of NEXUS",
            category=Category.CONFLICT,
            field="revision",
            value=found,
            remedy=f"run the version that made it, or a later one (this one knows revisions up to {head()})",
        )


def run_script(sql: str) -> None:
    """Run several statements inside the current revision (the simple protocol; nothing is bound)."""
    driver: Any = op.get_bind().connection.driver_connection
    driver.execute(sql)


@contextmanager
def _alone(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection to the maintenance database, holding the lock of migrations."""
    url = settings.postgres.owner_url(driver="", database="postgres")
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise unavailable(
            "Postgres does not answer",
            remedy="check postgres.url, or see bin/nexus logs postgres",
            reason=str(error).splitlines()[0][:200],
        ) from None
    with connection:
        connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
        yield connection


@contextmanager
def _engine(settings: Settings) -> Iterator[sa.Engine]:
    engine = sa.create_engine(settings.postgres.owner_url(), poolclass=NullPool)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _alembic(settings: Settings) -> Iterator[Config]:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with _engine(settings) as engine, engine.begin() as connection:
        config.attributes["connection"] = connection
        yield config
