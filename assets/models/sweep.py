"""Sweeps: recipes, seeds and values compared on what the platform trains on. On demand only; nothing is registered.

Belongs here: thin asset and its configuration. Does not belong here: which runs are left, when to stop (training.sweep).
"""

from typing import Any

import dagster as dg
from pydantic import Field

from assets.compute import GPU_POOL
from assets.resources import PlatformResource
from assets.tables import OWNER
from training import snapshot, sweep, tables
from training.files import reading


class Compared(dg.Config):
    """What is compared."""

    recipes: list[str] = Field(default=["default"], description="names, as bin/nexus train --list gives them")
    seeds: list[int] = Field(default=[1, 2, 3], description="each recipe is trained with each")
    overrides: list[dict[str, Any]] = Field(
        default=[{}], description="values that replace the recipe's, one variant each; {}: the recipe as it is"
    )
    protocol: str = Field(default="leave-one-out", description="as bin/nexus train --list explains")
    budget_minutes: float = Field(default=60.0, gt=0, description="no run begins after that; the next sweep goes on")


@dg.asset(
    group_name="models",
    owners=[OWNER],
    kinds={"torch", "mlflow"},
    deps=[snapshot.EXAMPLES, snapshot.TITLES],
    pool=GPU_POOL,
)
def model_recommender__sweep(
    context: dg.AssetExecutionContext, config: Compared, platform: PlatformResource
) -> dg.MaterializeResult[None]:
    """Train every recipe with every seed and variant that MLflow does not know yet, within the budget."""
    settings = platform.settings()
    wanted = sweep.Wanted(
        config.recipes, config.seeds, config.overrides, config.protocol, budget_s=config.budget_minutes * 60.0
    )
    found = sweep.sweep(
        settings,
        reading.load_table(platform.lake(), snapshot.EXAMPLES),
        wanted,
        folder=settings.home / "sweeps",
        device="gpu" if settings.training.accelerator == "gpu" else "cpu",
        tell=context.log.info,
    )
    context.log.info("%s", found.words)
    return dg.MaterializeResult(
        metadata={
            "table": dg.MetadataValue.md(tables.of_sweep(found)),
            "outcome": found.words,
            "runs": len(found.done),
            "runs_left": found.left,
            "protocol": found.protocol,
            "experiment": sweep.EXPERIMENT,
        }
    )
