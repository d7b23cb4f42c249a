"""Databases of the platform, and the four roles that may do less than the owner.

Belongs here: creating databases and roles, passwords, time-outs. Passwords never leave this process: the server is
sent SCRAM verifiers, so that no statement log ever holds one.
Does not belong here: grants on tables (each revision grants what it creates).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from nexus.settings import Role, Settings

ROLES: Final[dict[Role, str]] = {
    "api": "answers requests: reads facts, writes viewers, interactions and recommendations",
    "worker": "runs durable operations: writes content, embeddings and recommendations",
    "pipeline": "publishes what the lake holds: bulk facts",
    "reader": "looks, for dashboards and people: select only",
}
_TIMEOUTS: Final[dict[Role, str]] = {"api": "10s", "worker": "60s", "pipeline": "10min", "reader": "60s"}

_BULK: Final[frozenset[Role]] = frozenset({"worker", "pipeline"})


def role_name(role: Role) -> str:
    """The name of a role in the server."""
    return f"nexus_{role}"


def main_database(settings: Settings) -> str:
    """The database that holds the four schemas."""
    return urlsplit(settings.postgres.owner_url(driver="")).path.lstrip("/") or "nexus"


def ensure_databases(maintenance: psycopg.Connection, settings: Settings) -> None:
    """Create the databases of NEXUS, Dagster, MLflow and Feast where they are missing."""
    there = {name for (name,) in maintenance.execute("select datname from pg_database").fetchall()}
    for name in _databases(settings):
        if name not in there:
            maintenance.execute(
                sql.SQL("create database {} encoding 'UTF8' template template0").format(sql.Identifier(name))
            )


def ensure_roles(maintenance: psycopg.Connection, settings: Settings) -> None:
    """Create the lesser roles where missing, and set their passwords; one without a password can't log in."""
    there = {name for (name,) in maintenance.execute("select rolname from pg_roles").fetchall()}
    for role, purpose in ROLES.items():
        name = role_name(role)
        if name not in there:
            maintenance.execute(sql.SQL("create role {} nologin").format(sql.Identifier(name)))
        _set_password(maintenance, settings, role)
        maintenance.execute(sql.SQL("comment on role {} is {}").format(sql.Identifier(name), sql.Literal(purpose)))


def restrict(maintenance: psycopg.Connection, settings: Settings) -> None:
    """Let the lesser roles into the main database only, with time-outs."""
    main = main_database(settings)
    for database in _databases(settings):
        maintenance.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(database)))
    for role in ROLES:
        name = sql.Identifier(role_name(role))
        rights = sql.SQL("connect, temporary" if role in _BULK else "connect")
        maintenance.execute(sql.SQL("grant {} on database {} to {}").format(rights, sql.Identifier(main), name))
        for setting, value in (
            ("statement_timeout", _TIMEOUTS[role]),
            ("idle_in_transaction_session_timeout", "60s"),
            ("timezone", "UTC"),
        ):
            maintenance.execute(
                sql.SQL("alter role {} in database {} set {} = {}").format(
                    name, sql.Identifier(main), sql.Identifier(setting), sql.Literal(value)
                )
            )


def _databases(settings: Settings) -> tuple[str, ...]:
    area = settings.postgres
    return main_database(settings), area.dagster_database, area.mlflow_database, area.feast_database


def _set_password(maintenance: psycopg.Connection, settings: Settings, role: Role) -> None:
    password = settings.postgres.role_passwords.get(role)
    if password is None:
        return
    name = role_name(role)
    verifier = maintenance.pgconn.encrypt_password(
        password.get_secret_value().encode(), name.encode(), b"scram-sha-256"
    ).decode()
    maintenance.execute(sql.SQL("alter role {} login password {}").format(sql.Identifier(name), sql.Literal(verifier)))
