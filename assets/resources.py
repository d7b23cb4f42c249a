"""Dependency injection for assets: one resource that hands out the settings and the lake.

Belongs here: configurable resources and their lifetimes. Does not belong here: asset logic, or connections that a
domain module makes from settings by itself.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from nexus.lake.lake import Lake
from nexus.settings import Settings, load


class PlatformResource(dg.ConfigurableResource[Any]):
    """The platform as assets see it.

    Attributes:
        home: State folder; empty: what the environment says.
    """

    home: str = ""
    _settings: Settings | None = PrivateAttr(default=None)
    _lake: Lake | None = PrivateAttr(default=None)

    def settings(self) -> Settings:
        """The settings, read once per run."""
        if self._settings is None:
            self._settings = load(home=Path(self.home)) if self.home else load()
        return self._settings

    def lake(self) -> Lake:
        """The lake, with one compute session per run."""
        if self._lake is None:
            self._lake = Lake.from_settings(self.settings())
        return self._lake

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[PlatformResource]:  # noqa: ARG002
        """Stop the compute session when the run ends."""
        try:
            yield self
        finally:
            if self._lake is not None:
                self._lake.close()


def with_settings(given: Settings) -> PlatformResource:
    """A resource over settings that were built elsewhere (tests, one-off runs).

    A class of its own, because Dagster builds resources anew from their configuration for every run.
    """

    class Given(PlatformResource):
        def settings(self) -> Settings:
            return given

    return Given(home=str(given.home))
