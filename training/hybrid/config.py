"""What can be chosen about the hybrid.

Belongs here: values with their meaning. Does not belong here: code that uses them, recipes (training.recipes.hybrid).
"""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.config import RecommenderConfig
from training.sequence.config import SequenceConfig

HOME_SEQUENCE = SequenceConfig(
    width=48,
    layers=1,
    position="relative",
    dropout=0.3,
    item_dropout=0.2,
    start="svd",
    has_time=True,
    lr=4e-3,
    epochs=12,
    batch_tokens=2048,
    logits_mb=4,
)
"""A sequence transformer that one core trains in half a minute; chosen on validation titles of ml-latest-small."""


class HybridConfig(BaseModel):
    """Parts, and how they are chosen and weighed."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    mixture: RecommenderConfig | None = Field(
        RecommenderConfig(), description="the attention mixture as one of the parts"
    )
    sequence: SequenceConfig | None = Field(HOME_SEQUENCE, description="the sequence transformer as one of the parts")
    networks: int = Field(
        2, gt=0, description="sequence transformers that differ by their seed; the part is their mean"
    )
    sequence_events: int = Field(
        1_200_000,
        ge=0,
        description="events that the sequence transformer is trained on, so that larger data take fewer epochs; 0: its own epochs",
    )
    fewest_epochs: int = Field(3, gt=0, description="of the sequence transformer, however large the data")
    history_length: int = Field(200, gt=0, description="newest titles of a history that the model looks at")
    ease_lambda: float = Field(300.0, gt=0)
    knn_shrink: float = Field(20.0, ge=0)
    width: int = Field(256, gt=0, description="neighbours kept per title and part")
    has_content: bool = Field(True, description="facts of titles as one of the parts (training.content)")
    entries: int = Field(12_000_000, gt=0, description="of all tables together; in large catalogues fewer are kept")
    viewers: int = Field(
        3000, gt=0, description="validation titles that parts are chosen and weighed on, at most; drawn"
    )
    top: int = Field(60, gt=0, description="titles that each part ranks first, of each example")
    drawn: int = Field(300, gt=0, description="titles drawn from the rest; together they count for all of it")
    folds: int = Field(5, gt=1, description="of viewers, when parts are compared")
    errors: float = Field(
        2.0, ge=0, description="standard errors of the difference by which one more counted part has to be better"
    )
    errors_expected: float = Field(
        0.5,
        ge=0,
        description="the same of a part that is expected to help and not the best of many: a trained one, or popularity, "
        "which two models that are added up count twice",
    )
    strength: float = Field(1e-2, ge=0, description="L2 penalty on the weights of the likelihood")
    pull: float = Field(1e-2, ge=0, description="of these on the weights that rank best")
    has_gate: bool = Field(True, description="weights may depend on the viewer where validation titles say so")
    gate_strength: float = Field(1e-1, ge=0, description="L2 penalty on how weights depend on the viewer")
    steps: int = Field(50, gt=0, description="of L-BFGS, at most")

    @model_validator(mode="after")
    def _looks_as_far_as_its_parts(self) -> HybridConfig:
        if self.mixture is not None and self.mixture.history_length > self.history_length:
            raise ValueError("history_length is less than the mixture's")
        if self.sequence is not None and self.sequence.length > self.history_length:
            raise ValueError("history_length is less than the sequence transformer's length")
        return self

    def fingerprint(self) -> str:
        """Equal for equal values."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def sequence_for(self, events: int) -> SequenceConfig | None:
        """The sequence transformer's values for so many events."""
        if self.sequence is None or not self.sequence_events:
            return self.sequence
        wanted = round(self.sequence_events / max(events, 1))
        epochs = min(self.sequence.epochs, max(self.fewest_epochs, wanted))
        return self.sequence.model_copy(update={"epochs": epochs, "validate_every": max(1, epochs // 4)})
