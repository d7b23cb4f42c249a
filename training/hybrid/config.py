"""What can be chosen about the hybrid.

Belongs here: values with their meaning. Does not belong here: code that uses them, recipes (training.recipes.hybrid).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.config import RecommenderConfig


class HybridConfig(BaseModel):
    """Parts, and how their weights are learned."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    mixture: RecommenderConfig | None = Field(
        RecommenderConfig(), description="the attention mixture as one of the parts"
    )
    history_length: int = Field(200, gt=0, description="newest titles of a history that the model looks at")
    ease_lambda: float = Field(300.0, gt=0)
    knn_shrink: float = Field(20.0, ge=0)
    width: int = Field(256, gt=0, description="neighbours kept per title and part")
    entries: int = Field(12_000_000, gt=0, description="of all tables together; in large catalogues fewer are kept")
    targets: int = Field(3, gt=0, description="newest titles of each viewer that the weights are learned from")
    earliest: int = Field(5, gt=0, description="titles before the first of these")
    viewers: int = Field(3000, gt=0, description="viewers that the weights are learned from, at most; drawn")
    hard: int = Field(300, gt=0, description="titles that the parts rank first, of each example")
    drawn: int = Field(500, gt=0, description="titles drawn from the rest; together they count for all of it")
    strengths: tuple[float, ...] = Field((1e-4, 1e-3, 1e-2), description="L2 penalties that are tried")
    steps: int = Field(150, gt=0, description="of L-BFGS, at most")

    @model_validator(mode="after")
    def _looks_as_far_as_the_mixture(self) -> HybridConfig:
        if self.mixture is not None and self.mixture.history_length > self.history_length:
            raise ValueError("history_length is less than the mixture's")
        return self
