"""Alembic's door: runs the revisions on the connection that nexus.db.migrate hands over.

Does not belong here: SQL (versions/), databases and roles (nexus.db.roles).
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from nexus import settings


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, version_table_schema="public", transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("offline mode is not supported: revisions read the database; run nexus.db.migrate.upgrade")
if (handed := context.config.attributes.get("connection")) is not None:
    _migrate(handed)
else:
    engine = create_engine(settings.load().postgres.owner_url(), poolclass=NullPool)
    with engine.begin() as own:
        _migrate(own)
