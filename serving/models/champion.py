"""The model that is served: read from its bundle, checked, warmed, and swapped without a failed request.

Belongs here: the ONNX session behind one method, and the watcher of ``champion.json``.
Does not belong here: the form of a bundle (training.bundle_format), what is done with scores (recommendations).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nexus import logs
from nexus.errors import NexusError
from serving.metrics import Metrics
from training.bundle_format import (
    MANIFEST_FILE,
    PART_NAMES,
    PARTS,
    WHOLE_INPUTS,
    Bundle,
    Manifest,
    bundle_folder,
    damaged,
    read_bundle,
    read_pointer,
)
from training.content.served import Projection

Floats = npt.NDArray[np.float32]
_LOG = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """One history in the form that the model takes."""

    feed: Mapping[str, npt.NDArray[Any]]


class Champion:
    """One loaded model. Never changes; a promotion makes another."""

    def __init__(self, bundle: Bundle, session: Any, content: Projection | None = None) -> None:
        self.manifest: Manifest = bundle.manifest
        self.content = content
        """Ranks titles that the model has not met; None: the bundle is of before there was one."""
        self.version = bundle.version
        self.vocabulary = bundle.vocabulary
        self.index = {content_id: position for position, content_id in enumerate(bundle.vocabulary) if position}
        self.history_length = bundle.manifest.history_length
        self._session = session
        self._taken = frozenset(node.name for node in session.get_inputs())
        self._gives_whole = bundle.manifest.inputs == WHOLE_INPUTS
        names = session.get_modelmeta().custom_metadata_map.get(PART_NAMES, "")
        self.parts: tuple[str, ...] = tuple(names.split(",")) if names else ()
        """What the model is a sum of; none: it says nothing of parts."""

    def ask(
        self, items: Sequence[int], values: Sequence[float], ages_days: Sequence[float], context: Sequence[float]
    ) -> Asked:
        """One history, oldest first; it is padded at the left."""
        missing = self.history_length - len(items)
        feed: dict[str, npt.NDArray[Any]] = {
            "items": np.array([[0] * missing + list(items)], dtype=np.int64),
            "values": np.array([[0.0] * missing + list(values)], dtype=np.float32),
            "ages_days": np.array([[0.0] * missing + list(ages_days)], dtype=np.float32),
            "context": np.array([list(context)], dtype=np.float32),
        }
        return Asked(feed)

    def scores(self, asked: Asked) -> Floats:
        """What the model says about every title of its vocabulary, ``[N+1]``."""
        return self._run(["scores"], asked, [0])[0]

    def explained(self, asked: Asked, titles: Sequence[int]) -> tuple[Floats, Floats]:
        """What adds to the scores of the given titles, one at least: each title of the history ``[L, K]``, each part ``[P, K]``."""
        if not self.parts:
            (found,) = self._run(["contributions"], asked, titles)
            of_titles = found[:, list(titles)] if self._gives_whole else found
            return of_titles, np.zeros((0, len(titles)), np.float32)
        found, parts = self._run(["contributions", PARTS], asked, titles)
        return found, parts

    def _run(self, outputs: Sequence[str], asked: Asked, titles: Sequence[int]) -> list[Floats]:
        feed = {**asked.feed, "titles": np.array([list(titles)], dtype=np.int64)}
        taken = {name: value for name, value in feed.items() if name in self._taken}
        return [found[0] for found in self._session.run(list(outputs), taken)]

    def warm(self) -> str | None:
        """Run both outputs; what is wrong with them, if anything."""
        known = min(1, len(self.vocabulary) - 1)
        asked = self.ask([known], [1.0], [1.0], [0.0] * len(self.manifest.context_features))
        size = len(self.vocabulary)
        for count in (1, 2, 3):
            scores, of_history = self.scores(asked), self._run(["contributions"], asked, [known] * count)[0]
            shape = (self.history_length, size if self._gives_whole else count)
            if scores.shape != (size,) or of_history.shape != shape:
                return f"outputs {scores.shape}, {of_history.shape}; expected {(size,)}, {shape}"
            parts = self.explained(asked, [known] * count)[1]
            if parts.shape != (len(self.parts), count):
                return f"{len(self.parts)} names of parts, and parts {parts.shape}"
            if not all(np.isfinite(found).all() for found in (scores[1:], of_history[:, -1], parts)):
                return "outputs that are no numbers"
        return None


def load_champion(folder: Path) -> Champion:
    """Read, verify and warm a bundle (blocking).

    Raises:
        NexusError: The bundle is missing or damaged, or its model does not run.
    """
    import onnxruntime

    bundle = read_bundle(folder)
    content = None
    if bundle.content_path is not None:
        content = Projection.read(bundle.content_path, len(bundle.vocabulary))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(bundle.model_path), options, providers=["CPUExecutionProvider"])
        champion = Champion(bundle, session, content)
        complaint = champion.warm()
    except Exception as error:  # onnxruntime's own errors share no base class  # noqa: BLE001
        raise damaged(bundle.model_path, f"it does not run ({type(error).__name__})") from None
    if complaint is not None:
        raise damaged(bundle.model_path, complaint)
    return champion


def _of_version(folder: Path, version: str) -> Champion:
    champion = load_champion(folder)
    if champion.version != version:
        raise damaged(folder / MANIFEST_FILE, f"it is of version {champion.version}, not {version}")
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
            champion = await asyncio.to_thread(_of_version, folder, version)
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
