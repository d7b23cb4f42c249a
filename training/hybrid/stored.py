"""What is kept of a fitted hybrid, and the hybrid made of it again over other histories and another catalogue.

Belongs here: weights as tensors, the facts beside them, bringing them back. Does not belong here: files and the registry
(training.tracking), the graph that is served (training.hybrid.graph).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from training import neighbours
from training.config import RecommenderConfig
from training.dataset import Dataset, Floats, History
from training.hybrid.config import HybridConfig
from training.hybrid.fitted import MIXTURE, SEQUENCE, FittedHybrid, Maker
from training.hybrid.gate import Gate
from training.recommender import Neural, tables_of
from training.sequence.config import SequenceConfig
from training.sequence.scorer import SequenceScorer
from training.sequence.several import AverageScorer

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights"
GATE = "gate"


def state_of(hybrid: FittedHybrid) -> dict[str, Tensor]:
    """Tensors: the weights of the parts, and the networks of those that are trained."""
    import torch

    state = {WEIGHTS: torch.from_numpy(hybrid.weights.copy())}
    if hybrid.gate is not None:
        state |= {f"{GATE}.{name}": torch.from_numpy(value.copy()) for name, value in asdict(hybrid.gate).items()}
    for name, part in hybrid.parts.items():
        if isinstance(part, Neural):
            state |= {f"{name}.{key}": value.contiguous() for key, value in part.weigher.state_dict().items()}
        elif isinstance(part, AverageScorer):
            for under, member in zip(_networks(len(part.members)), part.members, strict=True):
                state |= {f"{under}.{key}": value.contiguous() for key, value in member.net.state_dict().items()}
    return state


def facts_of(hybrid: FittedHybrid) -> dict[str, Any]:
    """Plain data beside the tensors."""
    sequence = hybrid.parts.get(SEQUENCE)
    facts: dict[str, Any] = {"parts": list(hybrid.parts), "sequence": None, "settings": dict(hybrid.settings)}
    if isinstance(sequence, AverageScorer):
        facts["sequence"] = sequence.members[0].net.config.model_dump(mode="json")
        facts["networks"] = len(sequence.members)
    return facts


def restored(
    dataset: Dataset,
    config: HybridConfig,
    facts: Mapping[str, Any],
    state: Mapping[str, Tensor],
    vocabulary: Sequence[str],
    histories: Sequence[History],
) -> FittedHybrid:
    """The hybrid over other histories; a title that was unknown when it was trained has no embedding.

    Args:
        dataset: The catalogue now.
        config: As the hybrid was trained with.
        facts: From :func:`facts_of`.
        state: From :func:`state_of`.
        vocabulary: Titles as they were then, in the order of the tensors' rows.
        histories: What its parts are counted over.
    """
    names = list(facts["parts"])
    mixture = None
    if MIXTURE in names and config.mixture is not None:
        mixture = _mixture(dataset, config.mixture, _under(state, MIXTURE), vocabulary)
    sequence = None
    if SEQUENCE in names:
        values = SequenceConfig(**facts["sequence"])
        under = _networks(facts.get("networks", 1))  # one network of old stands under its part's name, too
        sequence = AverageScorer(tuple(_sequence(dataset, values, _under(state, one), vocabulary) for one in under))
    maker = Maker(dataset, config, mixture, sequence)
    found = maker.parts(histories, set(names))
    of_gate = {name: np.asarray(value.numpy(), np.float32) for name, value in _under(state, GATE).items()}
    return FittedHybrid(
        {name: found[name] for name in names},
        np.asarray(state[WEIGHTS].numpy(), np.float32),
        maker,
        gate=Gate(**of_gate) if of_gate else None,
    )


def _networks(count: int) -> list[str]:
    """What the tensors of each network stand under."""
    return [SEQUENCE, *(f"{SEQUENCE}_{number}" for number in range(2, count + 1))]


def _under(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}


def _moved(rows: Floats, vocabulary: Sequence[str], dataset: Dataset) -> Floats:
    """Rows of the old catalogue in the order of the new one; zeros for titles that are new."""
    place = {title: row for row, title in enumerate(vocabulary)}
    found = np.zeros((dataset.size, rows.shape[1]), dtype=np.float32)
    for row, title in enumerate(dataset.vocabulary):
        if title in place:
            found[row] = rows[place[title]]
    return found


def _mixture(
    dataset: Dataset, config: RecommenderConfig, state: dict[str, Tensor], vocabulary: Sequence[str]
) -> Callable[[Sequence[History]], Neural]:
    import torch

    from training.models.mixture import AttentionWeigher

    factors = torch.from_numpy(_moved(state["factors"].numpy(), vocabulary, dataset))

    def over(histories: Sequence[History]) -> Neural:
        popularity = neighbours.count([h.items for h in histories], dataset.size).popularity
        content = neighbours.content_table(dataset, popularity, config.width)
        tables = tables_of(histories, dataset.size, content, config)
        counts = torch.from_numpy(tables.popularity)
        weigher = AttentionWeigher(counts, factors, state["of_context.weight"].shape[1], config)
        weigher.load_state_dict(state | {"factors": factors, "log_popularity": torch.log(counts.clamp(min=1.0))})
        return Neural(weigher.eval(), tables)

    return over


def _sequence(
    dataset: Dataset, config: SequenceConfig, state: dict[str, Tensor], vocabulary: Sequence[str]
) -> SequenceScorer:
    import torch

    net = config.build(dataset.size)
    titles = torch.from_numpy(_moved(state["titles.weight"].numpy(), vocabulary, dataset))
    net.load_state_dict(state | {"titles.weight": titles})
    return SequenceScorer(net.eval(), dataset.size)
