"""What can be chosen about the sequence model; everything here is written down with each result.

Belongs here: values with their meaning, and what may not go together. Does not belong here: named sets of values
(training.recipes.sequence), the network (net), on which device it trains (training.config.Compute).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from training.sequence.net import SequenceNet

FULL_SOFTMAX_BELOW = 30_000
"""Titles up to which the softmax over all of them is cheap; beyond, negatives are sampled."""


class MixtureConfig(BaseModel):
    """A mixture of logits over pairs of vectors (training.sequence.net_mixture)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    viewer_parts: int = Field(2, gt=0, description="vectors of each viewer")
    title_parts: int = Field(2, gt=0, description="vectors of each title")
    part_width: int = Field(0, ge=0, description="of these vectors; 0: that of the stream")
    gate_width: int = Field(32, gt=0, description="hidden width of what either side says about the gates")
    gate_dropout: float = Field(0.1, ge=0, lt=1, description="of that hidden layer")


class SequenceConfig(BaseModel):
    """A causal transformer over titles, and its training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    block: Literal["ligr", "hstu", "sasrec"] = "ligr"
    width: int = Field(64, gt=0, description="of embeddings and of the stream between blocks")
    heads: int = Field(2, gt=0)
    layers: int = Field(2, ge=0)
    expansion: float = Field(
        4.0, gt=0, description="hidden width of the feed-forward part, in widths (not used by hstu)"
    )
    length: int = Field(
        200, gt=1, description="newest titles that are looked at; longer histories are cut into windows"
    )
    position: Literal["none", "learned", "relative", "both"] = "learned"
    has_time: bool = Field(False, description="attention knows how long before the request each event was")
    dropout: float = Field(0.1, ge=0, lt=1, description="of what a block adds, and of the embedded titles")
    item_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the history's titles that are blanked in training"
    )
    start: Literal["random", "svd"] = Field(
        "random", description="first embeddings: chance, or a factorisation of co-occurrence"
    )

    loss: Literal["auto", "full", "sampled"] = "auto"
    negatives: int = Field(4096, gt=0, description="titles drawn per step for the sampled softmax")
    is_normalised: bool = Field(True, description="cosines over a temperature instead of dot products")
    temperature: float = Field(0.05, ge=0.03, le=1.0)
    is_unseen_only: bool = Field(False, description="the softmax leaves out titles that the window has met already")

    head: MixtureConfig | None = Field(
        None,
        exclude_if=lambda head: head is None,  # checkpoints and fingerprints of before keep their names
        description="a mixture of logits as the similarity of viewer and title; None: one dot product",
    )

    epochs: int = Field(30, gt=0)
    batch_tokens: int = Field(4096, gt=0, description="events of a step, padding included")
    lr: float = Field(1e-3, gt=0)
    warmup: float = Field(0.03, ge=0, lt=1, description="share of all steps")
    last_lr: float = Field(
        0.05, ge=0, le=1, description="share of the learning rate that is left at the end (half a cosine)"
    )
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, gt=0, description="largest norm of a step's gradient")
    average: float = Field(0.998, ge=0, lt=1, description="decay of the running average of the weights; 0: none")
    validate_every: int = Field(1, gt=0, description="epochs")
    patience: int = Field(6, gt=0, description="validations without a better one after which training ends")
    refit_epochs: int = Field(
        0, ge=0, description="over histories that reach up to the test titles, after all choices were made"
    )
    refit_lr: float = Field(0.1, gt=0, le=1, description="share of the learning rate for these")
    logits_mb: int = Field(
        8, gt=0, description="largest block of logits that is held at once (a cache's worth on a CPU)"
    )

    @model_validator(mode="after")
    def _fits(self) -> SequenceConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.head is not None and not self.is_normalised:
            raise ValueError("a mixture of logits is one of cosines: is_normalised has to be true")
        return self

    @property
    def scale(self) -> float:
        """What cosines are multiplied with; 1 for plain dot products."""
        return 1.0 / self.temperature if self.is_normalised else 1.0

    def is_full(self, titles: int) -> bool:
        """Whether the softmax runs over all titles of such a catalogue."""
        return self.loss == "full" or (self.loss == "auto" and titles < FULL_SOFTMAX_BELOW)

    def fingerprint(self) -> str:
        """Equal for equal values."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def build(self, size: int) -> SequenceNet:
        """The untrained network for a vocabulary of ``size`` (the padding included)."""
        from training.sequence.net import SequenceNet

        return SequenceNet(size, self)
