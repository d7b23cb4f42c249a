"""Each role may do its work and nothing beyond."""

from __future__ import annotations

import psycopg
import pytest

from nexus.db import migrate, pool
from nexus.db.roles import ROLES
from nexus.errors import NexusError

pytestmark = pytest.mark.integration

FORBIDDEN = {
    "api": [
        "select password_hash from nexus_core.users",
        "select email from nexus_core.users",
        "insert into nexus_core.content (title, content_type) values ('T', 'movie')",
        "delete from nexus_ai.user_interactions",
        "update nexus_ai.user_interactions set interaction_value = 5",
        "update nexus_ai.recommendations set score = 1",
        "update nexus_web3.nft_content set token_id = 1",
        "update nexus_web3.wallets set linked_at = now()",
        "update nexus_core.users set wallet_address = null",
        "insert into nexus_analytics.title_popularity values (gen_random_uuid(), 1, 1, 1, 1)",
        "select nexus_ai.ensure_interaction_partitions(now(), now())",
        "select nexus_ai.drop_embedding_index()",
        "create table nexus_core.mine (a int)",
        "create table public.mine (a int)",
        "create temporary table mine (a int)",
    ],
    "worker": [
        "insert into nexus_core.users default values",
        "select * from nexus_web3.wallet_sessions",
        "insert into nexus_web3.wallets select * from nexus_web3.wallets",
        "select password_hash from nexus_core.users",
        "delete from nexus_core.content",
        "insert into nexus_ai.interaction_keys values (gen_random_uuid())",
        "select nexus_analytics.refresh_daily_engagement()",
    ],
    "pipeline": [
        "select password_hash from nexus_core.users",
        "delete from nexus_core.users",
        "update nexus_core.users set ai_enabled = false",
        "insert into nexus_ai.recommendations (user_id) values (gen_random_uuid())",
        "drop table nexus_ai.embeddings",
        "select * from nexus_analytics.user_sessions",
    ],
    "reader": [
        "select email from nexus_core.users",
        "select * from nexus_web3.wallet_sessions",
        "select * from nexus_web3.sign_in_nonces",
        "insert into nexus_core.users default values",
        "update nexus_core.content set title = 'x'",
        "delete from nexus_ai.embeddings",
        "truncate nexus_ai.recommendations",
        "select nexus_analytics.refresh_daily_engagement()",
    ],
}
ALLOWED = {
    "api": ["select id, username from nexus_core.users", "select * from nexus_analytics.title_popularity"],
    "worker": ["select * from nexus_core.content", "select * from nexus_web3.nft_content"],
    "pipeline": [
        "select nexus_analytics.refresh_daily_engagement()",
        "select nexus_ai.ensure_interaction_partitions(now(), now())",
    ],
    "reader": ["select * from nexus_analytics.daily_engagement", "select * from nexus_analytics.user_sessions"],
}


def cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(role, statement) for role, statements in table.items() for statement in statements]


@pytest.mark.parametrize(("role", "statement"), cases(FORBIDDEN))
def test_role__beyond_its_work__is_refused(facts, role, statement):
    with pool.connect(facts, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize(("role", "statement"), cases(ALLOWED))
def test_role__its_work__is_allowed(facts, role, statement):
    with pool.connect(facts, role) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("database", ["dagster", "mlflow", "feast"])
def test_role__database_of_another_part__may_not_connect(facts, database):
    url = facts.postgres.role_url("reader", driver="").rpartition("/")[0] + f"/{database}"
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(url)


def test_passwords__in_the_server__are_verifiers_only(facts, owner):
    found = dict(owner.execute("select rolname, rolpassword from pg_authid where rolname like 'nexus%'").fetchall())
    assert {f"nexus_{role}" for role in ROLES} <= found.keys()
    for role, secret in facts.postgres.role_passwords.items():
        assert found[f"nexus_{role}"].startswith("SCRAM-SHA-256$")
        assert secret.get_secret_value() not in found[f"nexus_{role}"]


def test_url__role_without_password__names_the_remedy(facts):
    bare = facts.model_copy(update={"postgres": facts.postgres.model_copy(update={"role_passwords": {}})})
    with pytest.raises(NexusError, match="NEXUS_POSTGRES__ROLE_PASSWORDS__API"):
        pool.url(bare, "api")


async def test_pool__after_its_connections_were_killed__answers_again(facts, owner):
    migrate.upgrade(facts)
    async with pool.async_pool(facts, "api") as connections:
        async with pool.acquire(connections) as connection:
            (pid,) = await (await connection.execute("select pg_backend_pid()")).fetchone()
        owner.execute("select pg_terminate_backend(%s)", (pid,))
        async with pool.acquire(connections) as connection:
            assert await (await connection.execute("select 1")).fetchone() == (1,)
