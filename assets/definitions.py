"""The root of the Dagster code location: finds assets, adds generated checks, jobs, schedules and resources.

Belongs here: collecting. Does not belong here: an asset, a check, a rule. Every module under ``assets/raw``,
``core``, ``marts``, ``features``, ``models``, ``reports`` and ``care`` is found by itself. A module whose asset takes ``context`` must not import
annotations from ``__future__``: Dagster compares the annotation with the class.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import dagster as dg

from assets import alerts, automation, chain, checks, jobs, resources, schedules, tracing
from nexus.settings import Settings, load

LAYERS = ("raw", "core", "marts", "features", "models", "reports", "care")


def asset_modules() -> Iterator[ModuleType]:
    """Every module that may hold assets, in the order of the layers."""
    for layer in LAYERS:
        package = importlib.import_module(f"assets.{layer}")
        for found in sorted(pkgutil.walk_packages(package.__path__, f"assets.{layer}."), key=lambda item: item.name):
            with warnings.catch_warnings():
                # Backfill policies are beta in Dagster 1.13; the pin is exact, so the notice helps nobody.
                warnings.simplefilter("ignore", dg.BetaWarning)
                module = importlib.import_module(found.name)
            yield module


def build_defs(
    *, resource_overrides: Mapping[str, Any] | None = None, settings: Settings | None = None
) -> dg.Definitions:
    """Fresh definitions.

    Args:
        resource_overrides: Resources that replace the default ones, by name (tests, special deployments).
        settings: When things happen by themselves; default what the environment says.
    """
    settings = settings or load()
    modules = list(asset_modules())
    assets = automation.automated(dg.load_assets_from_modules(modules), settings)
    return dg.Definitions(
        assets=assets,
        asset_checks=[*dg.load_asset_checks_from_modules(modules), *checks.generated(assets)],
        jobs=jobs.build(settings),
        schedules=schedules.build(settings),
        sensors=[
            *schedules.sensors(settings),
            *automation.sensors(settings),
            *chain.sensors(settings),
            *alerts.build(),
            *_of(modules, dg.SensorDefinition),
        ],
        resources={"platform": resources.PlatformResource(), **(resource_overrides or {})},
        executor=tracing.in_process(),
    )


def _of(modules: list[ModuleType], kind: type[dg.SensorDefinition]) -> Iterator[dg.SensorDefinition]:
    for module in modules:
        yield from (value for value in vars(module).values() if isinstance(value, kind))


@dg.definitions
def defs() -> dg.Definitions:
    """The code location (``dagster api grpc -m assets.definitions``)."""
    return build_defs()
