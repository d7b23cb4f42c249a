"""The model of ``bin/nexus train`` as files that work without the registry, and whether they rank as was measured.

Belongs here: ``model.onnx``, ``vocabulary.json`` and ``bundle.json`` of a run, an ONNX file as a scorer. Does not belong here:
the export of any one model (theirs), the form of a bundle (training.bundle_format).

The file is the model that was measured: the held-out titles are not learned from. ``bin/nexus up`` serves one that is counted
anew over everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from training.bundle_format import (
    INPUTS,
    MANIFEST_FILE,
    MODEL_FILE,
    VOCABULARY_FILE,
    Manifest,
    sha256,
    write_atomically,
)
from training.dataset import SECONDS_PER_DAY, Dataset, Floats, History, Ints, Split
from training.evaluation import evaluate, ndcg
from training.examples import padded
from training.export import session
from training.models_api import Exportable
from training.run_folder import RunFolder

ROWS = 16
"""Histories that the file is asked about at once."""
CHECKED = 512
"""Test rows that are ranked by the file, too."""


@dataclass(frozen=True)
class OnnxScorer:
    """An ONNX file with the inputs of training.bundle_format, as a scorer; nobody's contributions are asked for."""

    running: Any
    history_length: int

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """Scores, asked for at the time of each newest event."""
        return self._scores(histories, contexts, None)

    def scores_at(self, histories: Sequence[History], contexts: Floats, asked_at_s: Any) -> Floats:
        """Scores, asked for at given seconds since 1970."""
        return self._scores(histories, contexts, asked_at_s)

    def _scores(self, histories: Sequence[History], contexts: Floats, asked_at_s: Any) -> Floats:
        items, values, ages = padded(histories, self.history_length)
        if asked_at_s is not None:
            newest = np.array([h.at_s[-1] if len(h) else at for h, at in zip(histories, asked_at_s, strict=True)])
            ages += (np.maximum(asked_at_s - newest, 0.0) / SECONDS_PER_DAY).astype(np.float32)[:, None] * (items > 0)
        given = (items, values, ages, np.ascontiguousarray(contexts), np.zeros((len(items), 1), np.int64))
        arrays: dict[str, np.ndarray] = dict(zip(INPUTS, given, strict=True))
        blocks = [slice(start, start + ROWS) for start in range(0, len(items), ROWS)]
        feeds = [{name: array[rows] for name, array in arrays.items()} for rows in blocks]
        parts = [self.running.run(["scores"], feed)[0] for feed in feeds]
        found: Floats = np.concatenate(parts)
        return found


def write(
    folder: RunFolder,
    scorer: Exportable,
    dataset: Dataset,
    test: Split,
    ranks: Ints,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the model's files.

    Args:
        folder: The run's.
        scorer: What was measured.
        dataset: Its catalogue.
        test: What it was asked.
        ranks: Its ranks on the test rows.
        facts: For the manifest: ``version``, ``kind``, ``metrics``, ``floors``, ``protocol``.

    Returns:
        What was measured on the file, ``equal_ranks`` among it: the share of test rows that it ranks the same.
    """
    with folder.appearing(MODEL_FILE) as path:
        measured = asdict(scorer.export(dataset, path))
    path = folder.path / MODEL_FILE
    running = session(path)
    write_atomically(folder.path / VOCABULARY_FILE, list(dataset.vocabulary))
    manifest = Manifest(
        **facts,
        model_name="nexus train",
        created_at=datetime.now(UTC),
        data_hash=dataset.data_hash,
        data_version=dataset.data_version,
        history_length=scorer.history_length,
        inputs=tuple(taken.name for taken in running.get_inputs()),
        outputs=tuple(output.name for output in running.get_outputs()),
        context_features=dataset.context_features,
        titles=dataset.size - 1,
        files={name: sha256(folder.path / name) for name in (MODEL_FILE, VOCABULARY_FILE)},
    )
    write_atomically(folder.path / MANIFEST_FILE, manifest.model_dump(mode="json"))
    measured.pop("path")
    return measured | _compared(OnnxScorer(running, scorer.history_length), test, ranks, dataset.size)


def _compared(scorer: OnnxScorer, test: Split, ranks: Ints, size: int) -> dict[str, Any]:
    count = min(CHECKED, len(test))
    at_s = None if test.asked_at_s is None else test.asked_at_s[:count]
    part = Split(test.name, test.histories[:count], test.targets[:count], test.contexts[:count], at_s)
    found = evaluate(scorer, part, size).ranks
    return {
        "rows_checked": count,
        "equal_ranks": float(np.mean(found == ranks[:count])),
        "ndcg@10": float(np.mean(ndcg(found, 10), dtype=np.float64)),
        "measured_ndcg@10": float(np.mean(ndcg(ranks[:count], 10), dtype=np.float64)),
    }
