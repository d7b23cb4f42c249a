"""The model that is served: read from its bundle, checked, warmed, and swapped without a failed request.

Belongs here: the ONNX session behind one method, and the watcher of ``champion.json``.
Does not belong here: the form of a bundle (training.bundle_format), what is done with scores (recommendations).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nexus import logs
from nexus.errors import NexusError
from serving.metrics import Metrics
from training.bundle_format import Bundle, Manifest, bundle_folder, damaged, read_bundle, read_pointer

Floats = npt.NDArray[np.float32]
_LOG = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Scored:
    """What the model says about every title of its vocabulary."""

    scores: Floats  # [N+1]
    contributions: Floats  # [L, N+1]


class Champion:
    """One loaded model. Never changes; a promotion makes another."""

    def __init__(self, bundle: Bundle, session: Any) -> None:
        self.manifest: Manifest = bundle.manifest
        self.version = bundle.version
        self.vocabulary = bundle.vocabulary
        self.index = {content_id: position for position, content_id in enumerate(bundle.vocabulary) if position}
        self.history_length = bundle.manifest.history_length
        self._session = session

    def score(
        self, items: Sequence[int], values: Sequence[float], ages_days: Sequence[float], context: Sequence[float]
    ) -> Scored:
        """Score every title for one history, oldest first; it is padded at the left."""
        length = self.history_length
        missing = length - len(items)
        feed = {
            "items": np.array([[0] * missing + list(items)], dtype=np.int64),
            "values": np.array([[0.0] * missing + list(values)], dtype=np.float32),
            "ages_days": np.array([[0.0] * missing + list(ages_days)], dtype=np.float32),
            "context": np.array([list(context)], dtype=np.float32),
        }
        taken = {node.name for node in self._session.get_inputs()}
        scores, contributions = self._session.run(
            ["scores", "contributions"], {name: value for name, value in feed.items() if name in taken}
        )
        return Scored(scores[0], contributions[0])


def load_champion(folder: Path) -> Champion:
    """Read, verify and warm a bundle (blocking).

    Raises:
        NexusError: The bundle is missing or damaged, or its model does not run.
    """
    import onnxruntime

    bundle = read_bundle(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    features = len(bundle.manifest.context_features)
    try:
        session = onnxruntime.InferenceSession(str(bundle.model_path), options, providers=["CPUExecutionProvider"])
        champion = Champion(bundle, session)
        known = min(1, len(bundle.vocabulary) - 1)
        for _ in range(3):
            warm = champion.score([known], [1.0], [1.0], [0.0] * features)
    except Exception as error:  # onnxruntime's own errors share no base class  # noqa: BLE001
        raise damaged(bundle.model_path, f"it does not run ({type(error).__name__})") from None
    shape = (champion.history_length, len(bundle.vocabulary))
    if warm.contributions.shape != shape or warm.scores.shape != shape[1:] or not np.isfinite(warm.scores[1:]).all():
        raise damaged(bundle.model_path, f"outputs {warm.scores.shape}, {warm.contributions.shape}; expected {shape}")
    return champion


class Watcher:
    """Looks at the pointer, loads what it names, and hands it over; a broken bundle changes nothing."""

    def __init__(
        self, bundle_url: str, *, poll_s: float, metrics: Metrics, on_change: Callable[[Champion], Awaitable[None]]
    ) -> None:
        self._url = bundle_url
        self._poll_s = poll_s
        self._metrics = metrics
        self._on_change = on_change
        self._served: str | None = None
        self._refused: tuple[str, int] | None = None

    async def look(self) -> bool:
        """Look once; True when another model was put to work."""
        version: str | None = None
        try:
            version = await asyncio.to_thread(read_pointer, self._url)
            if version is None or version == self._served:
                return False
            folder = bundle_folder(self._url, version)
            if self._refused == (version, _stamp(folder)):
                return False
            champion = await asyncio.to_thread(load_champion, folder)
        except (NexusError, OSError, ValueError) as error:
            if self._refused is None or self._refused[0] != version:
                _LOG.error("model_refused", version=version, reason=str(error), kept=self._served)
                self._metrics.swaps.labels("refused").inc()
            self._refused = (version, _stamp(bundle_folder(self._url, version))) if version else None
            return False
        await self._on_change(champion)
        self._note(champion)
        return True

    def _note(self, champion: Champion) -> None:
        _LOG.info("model_served", version=champion.version, before=self._served, titles=len(champion.index))
        self._served, self._refused = champion.version, None
        self._metrics.swaps.labels("served").inc()
        self._metrics.model.clear()
        self._metrics.model.labels(champion.version).set(1)
        self._metrics.model_created.set(champion.manifest.created_at.timestamp())

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(self._poll_s)
            await self.look()


def _stamp(folder: Path) -> int:
    """Changes when a bundle is written again under the same version."""
    try:
        return (folder / "bundle.json").stat().st_mtime_ns
    except OSError:
        return 0
