"""Layer core, the chain: logs that are part of it, decoded; transfers of tokens.

Belongs here: thin assets. Does not belong here: the rules (nexus.lake.transforms.chain), interfaces (contracts).
"""

from __future__ import annotations

import hashlib
from functools import cache

import dagster as dg
import polars as pl

from assets.resources import PlatformResource
from assets.tables import described, remade
from contracts.client.artifacts import FOLDER
from contracts.client.logs.events import decoded
from contracts.client.logs.journal import TABLE
from nexus.lake.transforms import chain

_KINDS = ("deltalake", "polars")


@dg.asset(**described(chain.EVENTS, kinds=_KINDS), deps=[TABLE])
def core_chain__events(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Decode every log that is part of the chain."""
    return remade(platform, chain.EVENTS, (TABLE,), _events, code=interfaces())


@dg.asset(**described(chain.TRANSFERS, kinds=_KINDS), deps=[chain.EVENTS])
def core_chain__transfers(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Take the transfers of tokens."""
    return remade(platform, chain.TRANSFERS, (chain.EVENTS,), chain.transfers)


def _events(raw: pl.DataFrame) -> pl.DataFrame:
    return chain.events(raw, decoded)


@cache
def interfaces() -> str:
    """A short hash of our contracts' interfaces: with other ones the same logs may say something else."""
    digest = hashlib.sha256()
    for path in sorted(FOLDER.glob("*.json")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
