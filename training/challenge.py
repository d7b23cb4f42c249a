"""The challenger before the gate: its figures, the floors' and the champion's on the same held-out titles.

Belongs here: bringing the champion to the challenger's data. Does not belong here: the rules (training.gate).

A served model has seen everything, the held-out titles too, so its file can't be judged. What is judged is the champion's
*weights* (or a floor's settings) over tables counted on the challenger's data without the held-out titles: what it would be
if it were refreshed, not retrained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from nexus.settings import Settings
from training import floors, gate, neighbours, registry, tracking
from training.bundle import ARTIFACTS
from training.bundle_format import MANIFEST_FILE, VOCABULARY_FILE, Manifest
from training.config import RecommenderConfig
from training.dataset import Dataset, Floats, leave_out
from training.evaluation import Scorer, evaluate
from training.experiment import NETWORK
from training.recommender import Neural, tables_of

FIGURES_TAG = "gate"


@dataclass(frozen=True, slots=True)
class Judged:
    """The gate's answer about one version."""

    version: str
    champion: str | None
    kind: str
    decision: gate.Decision
    metrics: dict[str, dict[str, float]]
    protocol: str


def judge(settings: Settings, dataset: Dataset, version: str) -> Judged:
    """Ask the gate about a version, and write the answer beside it in the registry."""
    client, name = registry.client(settings), settings.mlflow.model_name
    found = registry.require(client, name, version)
    record = tracking.record_of(settings, version)
    winner = record["winner"]
    manifest = Manifest.model_validate_json(tracking.fetch(settings, version, f"{ARTIFACTS}/{MANIFEST_FILE}"))
    champion = registry.aliased(client, name, registry.CHAMPION)
    complaints = gate.check_form(manifest, dataset.context_features, _served_titles(settings, champion, version))
    if found.tags.get(registry.ROLLED_BACK_TAG):
        complaints.append(f"it was rolled back at {found.tags[registry.ROLLED_BACK_TAG]}")
    if record["data_hash"] != dataset.data_hash:
        complaints.append(f"it was trained on data {record['data_hash']}, not on {dataset.data_hash}")
    ranks, note = None, None
    if champion not in (None, version):
        try:
            ranks = champion_ranks(settings, dataset, champion)
        except (ValidationError, KeyError, RuntimeError):  # its settings, record or weights are of another code
            note = f"champion {champion} was made by another version of NEXUS and can't be measured again: floors only"
    decision = gate.decide(
        record["ranks"][winner],
        {floor: ranks for floor, ranks in record["ranks"].items() if floor not in (winner, NETWORK)},
        ranks,
        is_floor=winner != NETWORK,
        complaints=complaints,
    )
    if note is not None:
        decision = replace(decision, reasons=(note, *decision.reasons))
    client.set_model_version_tag(name, version, FIGURES_TAG, decision.words()[:4900])
    return Judged(version, champion, winner, decision, record["metrics"], record["protocol"])


def _served_titles(settings: Settings, champion: str | None, version: str) -> int | None:
    """Titles that the champion knows; None when there is none to compare with."""
    if champion in (None, version):
        return None
    manifest = tracking.fetch(settings, champion, f"{ARTIFACTS}/{MANIFEST_FILE}")
    try:
        return Manifest.model_validate_json(manifest).titles
    except ValidationError:  # made by other code: judge says so when it measures the champion
        return None


def champion_ranks(settings: Settings, dataset: Dataset, version: str) -> list[int]:
    """Ranks of the held-out titles by the champion: as recorded if its data were the same, else measured."""
    record = tracking.record_of(settings, version)
    if record["data_hash"] == dataset.data_hash:
        ranks: list[int] = record["ranks"][record["winner"]]
        return ranks
    test = leave_out(dataset, last=1, name="test")
    scorer = refreshed(settings, dataset, version, record)
    return [int(rank) for rank in evaluate(scorer, test, dataset.size).ranks]


def refreshed(settings: Settings, dataset: Dataset, version: str, record: dict[str, Any]) -> Scorer:
    """A registered model over tables of the given data without its held-out titles."""
    test = leave_out(dataset, last=1, name="test")
    kind, config = record["winner"], record["configs"][record["winner"]]
    if kind != NETWORK:
        return floors.fit(kind, config, test.histories, dataset.size)
    settled = RecommenderConfig(**{key: value for key, value in config.items() if key != "seed"})
    popularity = neighbours.count([h.items for h in test.histories], dataset.size).popularity
    content = neighbours.content_table(dataset, popularity, settled.width)
    tables = tables_of(test.histories, dataset.size, content, settled)
    vocabulary = json.loads(tracking.fetch(settings, version, f"{ARTIFACTS}/{VOCABULARY_FILE}"))
    weights = tracking.fetch(settings, version, tracking.WEIGHTS_FILE)
    return restore(weights, vocabulary, dataset, tables, settled)


def restore(
    weights: bytes,
    vocabulary: Sequence[str],
    dataset: Dataset,
    tables: neighbours.Tables,
    config: RecommenderConfig,
) -> Neural:
    """Logged weights on another catalogue; a title that was unknown then has no factors."""
    import torch
    from safetensors.torch import load

    from training.models.mixture import AttentionWeigher

    state = load(weights)
    old: Floats = state["factors"].numpy()
    place = {title: row for row, title in enumerate(vocabulary)}
    factors = np.zeros((dataset.size, old.shape[1]), dtype=np.float32)
    for row, title in enumerate(dataset.vocabulary):
        if title in place:
            factors[row] = old[place[title]]
    popularity = torch.from_numpy(tables.popularity)
    weigher = AttentionWeigher(popularity, torch.from_numpy(factors), state["of_context.weight"].shape[1], config)
    state |= {"factors": torch.from_numpy(factors), "log_popularity": torch.log(popularity.clamp(min=1.0))}
    weigher.load_state_dict(state)
    return Neural(weigher.eval(), tables)
