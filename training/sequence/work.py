"""What a sequence training is given: the same in every process of it.

Belongs here: plain values and arrays that can be handed to another process. Does not belong here: what is done with them
(loop).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.dataset import Floats, Split
from training.sequence.batches import Packed
from training.sequence.config import SequenceConfig


@dataclass(frozen=True, slots=True)
class Work:
    """What is trained on and how it is judged.

    Attributes:
        config: Of the network and the training.
        packed: Histories to learn from.
        size: Vocabulary, the padding included.
        seed: Of everything that is drawn.
        budget_s: Seconds that all of it may take.
        validation: Where the best weights are chosen by NDCG@10; None: no choice is made, the last weights are kept.
        folder: Of the checkpoint; None: none is kept.
        identity: Names this training in its checkpoint.
        first: First embeddings ``[N+1, d]``; None: random.
        save_every_s: Seconds of training that a kill may cost.
    """

    config: SequenceConfig
    packed: Packed
    size: int
    seed: int
    budget_s: float
    validation: Split | None
    folder: Path | None
    identity: str
    first: Floats | None = field(default=None, repr=False)
    save_every_s: float = 120.0
