"""What can be chosen about the recommender; everything here is logged with each run.

Belongs here: values with their meaning, and recipes (named sets of values). Does not belong here: what differs between
installations (nexus.settings), code that uses the values.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nexus.settings import TrainingSettings


class RecommenderConfig(BaseModel):
    """The attention mixture and its training."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    history_length: int = Field(50, gt=0, description="newest titles of a history that the model looks at")
    width: int = Field(128, gt=0, description="neighbours kept per title and channel; twice as many are kept in all")
    ease_lambda: float = Field(300.0, gt=0)
    folds: int = Field(5, ge=2, description="viewers are learned from with tables counted on the other folds")
    positions: int = Field(20, gt=0, description="newest titles of each viewer that are training targets")
    earliest: int = Field(5, gt=0, description="titles before the first target of a viewer")
    factors: int = Field(32, gt=0, description="factors of each title, from a truncated SVD of the interactions")
    dimension: int = Field(32, gt=0, description="width of the encoder")
    heads: int = Field(2, gt=0)
    layers: int = Field(1, gt=0)
    dropout: float = Field(0.3, ge=0, lt=1)
    batch_size: int = Field(256, gt=0)
    mixture_epochs: int = Field(6, gt=0, description="epochs of the global weights, without the encoder")
    attention_epochs: int = Field(3, gt=0, description="epochs of the encoder on top of them")
    mixture_lr: float = Field(1e-2, gt=0, description="learning rate of the global weights of channels and positions")
    attention_lr: float = Field(1e-3, gt=0, description="learning rate of the encoder")
    weight_decay: float = Field(1e-2, ge=0)
    max_change: float = Field(0.5, gt=0, description="the encoder may change the logarithm of a weight by so much")

    def fingerprint(self) -> str:
        """Equal for equal values."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Compute:
    """What Lightning trains on; it decides how fast, not what is learned, so it is no part of a model's fingerprint.

    Attributes:
        accelerator: ``cpu``, ``gpu``, or ``auto``.
        strategy: ``auto``, or ``ddp``: one process per device, each with its share of every epoch.
        devices: How many.
        precision: As Lightning names it.
    """

    accelerator: str = "cpu"
    strategy: str = "auto"
    devices: int = 1
    precision: str = "32-true"

    @classmethod
    def of(cls, settings: TrainingSettings) -> Compute:
        """As an installation wants it."""
        return cls(settings.accelerator, settings.strategy, settings.devices, settings.precision)

    @property
    def is_distributed(self) -> bool:
        """Whether other processes train."""
        return self.strategy == "ddp"

    def trainer_arguments(self) -> dict[str, Any]:
        """What the Trainer is told.

        Processes are spawned, not started by Lightning's script launcher: that would run the command of this process again,
        which may be a whole Dagster run. The encoder is not used in the first stage, so unused parameters are looked for.
        """
        strategy: Any = self.strategy
        if self.is_distributed:
            from lightning.pytorch.strategies import DDPStrategy
            from torch import multiprocessing

            # By names, not by file descriptors: these cannot be handed over in every container.
            multiprocessing.set_sharing_strategy("file_system")  # type: ignore[no-untyped-call]
            strategy = DDPStrategy(start_method="spawn", find_unused_parameters=True)
        return {
            "accelerator": self.accelerator,
            "strategy": strategy,
            "devices": self.devices,
            "precision": self.precision,
        }


CPU = Compute()


def debug() -> RecommenderConfig:
    """A recipe that trains in seconds, for tests."""
    return RecommenderConfig(
        history_length=8,
        width=8,
        folds=2,
        positions=4,
        earliest=2,
        factors=4,
        dimension=8,
        attention_epochs=2,
        batch_size=32,
    )
