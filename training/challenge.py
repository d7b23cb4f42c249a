"""The challenger before the gate: its figures, the floors' and the champion's on the same held-out titles.

Belongs here: bringing the champion to the challenger's data. Does not belong here: the rules (training.gate).

A served model has seen everything, the held-out titles too, so its file can't be judged. What is judged is the champion's
*weights* (or a floor's settings) over tables counted on the challenger's data without the held-out titles: what it would be
if it were refreshed, not retrained.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from nexus.settings import Settings
from training import floors, gate, registry, tracking
from training.bundle import ARTIFACTS
from training.bundle_format import MANIFEST_FILE, TRAINED, VOCABULARY_FILE, Manifest
from training.dataset import Dataset, leave_out
from training.evaluation import Scorer, evaluate
from training.experiment import HYBRID
from training.hybrid import stored
from training.hybrid.config import HybridConfig

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
        {floor: ranks for floor, ranks in record["ranks"].items() if floor not in (winner, *TRAINED)},
        ranks,
        is_floor=winner != HYBRID,
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
    if kind != HYBRID:
        return floors.fit(kind, config, test.histories, dataset.size)
    from safetensors.torch import load

    settled = HybridConfig(**{key: value for key, value in config.items() if key != "seed"})
    vocabulary = json.loads(tracking.fetch(settings, version, f"{ARTIFACTS}/{VOCABULARY_FILE}"))
    state = load(tracking.fetch(settings, version, tracking.WEIGHTS_FILE))
    return stored.restored(dataset, settled, record["blend"], state, vocabulary, test.histories)
