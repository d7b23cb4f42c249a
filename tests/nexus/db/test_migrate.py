"""Migrations: again, at once, and back."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from pydantic import SecretStr

from nexus.db import migrate
from nexus.db.content import CONTENT_TYPES
from nexus.db.pool import connect
from nexus.errors import Category, NexusError
from nexus.events import EventType
from nexus.settings import Settings

pytestmark = pytest.mark.integration
SCHEMAS = {"nexus_core", "nexus_ai", "nexus_web3", "nexus_analytics"}


def schemas(settings: Settings) -> set[str]:
    with connect(settings, "owner") as connection:
        found = connection.execute("select nspname from pg_namespace where nspname like 'nexus%'").fetchall()
    return {name for (name,) in found}


@pytest.fixture
def another(settings: Settings) -> Settings:
    url = settings.postgres.owner_url(driver="", database=f"moved_{uuid.uuid4().hex[:8]}")
    return settings.model_copy(update={"postgres": settings.postgres.model_copy(update={"url": SecretStr(url)})})


def test_upgrade__two_callers_at_once__both_succeed_and_a_third_changes_nothing(another):
    with ThreadPoolExecutor(2) as pool:
        revisions = list(pool.map(migrate.upgrade, [another, another]))
    assert revisions == [migrate.head(), migrate.head()]
    assert schemas(another) == SCHEMAS
    assert migrate.upgrade(another) == migrate.head() == migrate.current(another)


def test_downgrade__to_base_and_up_again__leaves_no_schema_behind(another):
    migrate.upgrade(another)
    for revision in ("0002", "0001", "base"):
        migrate.downgrade(another, revision=revision)
    assert schemas(another) == set()
    assert migrate.current(another) is None
    assert migrate.upgrade(another) == migrate.head()


def test_upgrade__server_away__says_so_without_a_traceback_or_password(settings):
    url = "postgresql://postgres:hush-hush@127.0.0.1:1/nexus"
    away = settings.model_copy(update={"postgres": settings.postgres.model_copy(update={"url": SecretStr(url)})})
    with pytest.raises(NexusError) as caught:
        migrate.upgrade(away)
    assert caught.value.category is Category.UNAVAILABLE
    assert "hush" not in str(caught.value)


def test_databases__after_upgrade__the_other_parts_have_theirs(owner):
    found = {name for (name,) in owner.execute("select datname from pg_database").fetchall()}
    assert {"dagster", "mlflow", "feast"} <= found


def test_constraints__of_types__agree_with_the_code(owner):
    def listed(constraint: str) -> set[str]:
        row = owner.execute(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = %s limit 1", (constraint,)
        ).fetchone()
        return set(row[0].split("'")[1::2])

    assert listed("content_type_check") == set(CONTENT_TYPES)
    assert listed("user_interactions_type_check") == set(map(str, EventType))


def test_tables__all__have_a_comment(owner):
    silent = owner.execute(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname like 'nexus%' and c.relkind in ('r', 'p', 'm') and not c.relispartition"
        " and obj_description(c.oid) is null"
    ).fetchall()
    assert silent == []


USER = "insert into nexus_core.users "
NFT = (
    "insert into nexus_web3.nft_content (content_id, token_id, contract_address, blockchain, creator_address,"
    " owner_address, price_wei, royalty_percentage) values (gen_random_uuid(), {0}, {1}, 'ethereum', {1}, {1}, {2}, {3})"
)
ADDRESS = "'0x" + "ab" * 20 + "'"


@pytest.mark.parametrize(
    "statement",
    [
        USER + "(personalization_level) values ('extreme')",
        USER + "(wallet_address) values ('0x12')",
        USER + "(wallet_address) values ('0x" + "AB" * 20 + "')",
        USER + "(email) values ('nobody')",
        USER + "(password_hash) values ('x')",
        USER + "(preferences) values ('[]')",
        "insert into nexus_core.content (title, content_type) values ('T', 'poem')",
        "insert into nexus_core.content (title, content_type) values ('', 'movie')",
        "insert into nexus_core.content (title, content_type, year) values ('T', 'movie', 1700)",
        "insert into nexus_core.content (title, content_type, file_size) values ('T', 'movie', -1)",
        NFT.format("-1", ADDRESS, "0", "0"),
        NFT.format("2 ^ 256::numeric", ADDRESS, "0", "0"),
        NFT.format("1", "'0xzz'", "0", "0"),
        NFT.format("1", ADDRESS, "-1", "0"),
        NFT.format("1", ADDRESS, "0", "100.01"),
        "insert into nexus_analytics.user_sessions (session_id, started_at, ended_at) values ('s', now(), now() - interval '1s')",
    ],
)
def test_constraints__wrong_value__is_refused(owner, statement):
    with pytest.raises(psycopg.errors.CheckViolation):
        owner.execute(statement)


def test_nft__largest_token_id__is_kept_exactly(owner):
    with owner.transaction(force_rollback=True):
        row = owner.execute(
            "insert into nexus_core.content (title, content_type) values ('T', 'movie') returning id"
        ).fetchone()
        statement = NFT.format(str(2**256 - 1), ADDRESS, str(2**256 - 1), "2.5").replace("gen_random_uuid()", "%s")
        owner.execute(statement, row)
        assert owner.execute("select token_id from nexus_web3.nft_content").fetchone()[0] == 2**256 - 1


def test_trigger__update__moves_updated_at(owner):
    with owner.transaction(force_rollback=True):
        owner.execute("insert into nexus_core.users (username, updated_at) values ('somebody', '2020-01-01Z')")
        owner.execute("update nexus_core.users set ai_enabled = false where username = 'somebody'")
        row = owner.execute("select updated_at = now() from nexus_core.users where username = 'somebody'").fetchone()
        assert row == (True,)


def test_upgrade__a_later_version_changed_the_database__is_refused_in_words(another):
    migrate.upgrade(another)
    with connect(another, "owner") as connection:
        connection.execute("update public.alembic_version set version_num = '9999'")
    with pytest.raises(NexusError, match="newer than this version") as caught:
        migrate.upgrade(another)
    assert caught.value.category is Category.CONFLICT
    assert caught.value.value == "9999"
    assert caught.value.remedy
