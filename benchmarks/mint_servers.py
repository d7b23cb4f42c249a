"""Servers for the mint benchmarks: an own Postgres and an own anvil.

Belongs here: what benchmarks/mint_faults.py and benchmarks/mint_rate.py start and share. Does not belong here: what they measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.features import running, wait_for_postgres
from contracts.client.chains import CHAINS, Chain
from nexus.db.migrate import upgrade
from nexus.runtime import ports, postgres
from nexus.runtime.anvil import HISTORY, anvil_binary
from nexus.runtime.command import Command
from nexus.settings import Settings


@dataclass(frozen=True, slots=True)
class Bench:
    """What runs."""

    settings: Settings
    rpc_url: str
    chain: Chain


def chain_rules(depth: int) -> Chain:
    """The embedded chain's rules with a depth of our own."""
    return replace(CHAINS["anvil"], depth=depth)


@contextmanager
def servers(folder: Path, *, depth: int, options: Sequence[str] = ()) -> Iterator[Bench]:
    """Postgres and anvil, migrated and empty."""
    chosen = ports.choose([ports.Wish("postgres", 25_442), ports.Wish("anvil", 28_545)], {})
    data, password = folder / "postgres" / "data", postgres.new_password()
    data.parent.mkdir()
    folder.chmod(0o755)
    identity = postgres.run_as(data)
    postgres.initialise(data, password, identity)
    settings = Settings(
        home=folder / "home",
        postgres={
            "url": postgres.url(chosen["postgres"], password, "nexus"),
            "role_passwords": {role: postgres.new_password() for role in ("api", "worker", "pipeline", "reader")},
        },
        keys={"password": postgres.new_password()},
    )
    node = Command(
        (
            anvil_binary(), "--port", str(chosen["anvil"]), "--silent", "--hardfork", "prague", "--gas-limit", "30000000",
            *HISTORY, *options,
        )
    )  # fmt: skip
    with (
        running(postgres.command(data, chosen["postgres"], identity), folder / "postgres.log", chosen["postgres"]),
        running(node, folder / "anvil.log", chosen["anvil"]),
    ):
        wait_for_postgres(settings)
        upgrade(settings)
        yield Bench(settings, f"http://127.0.0.1:{chosen['anvil']}", chain_rules(depth))
