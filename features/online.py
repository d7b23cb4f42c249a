"""What the feature store knows about a viewer now, for a process that serves.

Belongs here: reading the context features, through the interface that Feast gives to online stores (the same rows as its
SDK, in a fraction of the time: benchmarks/features.py). Does not belong here: writing them (features.store.publish).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from features.definitions import VIEWER
from features.schema import CONTEXT_FEATURES
from features.store import feature_store, import_feast, quiet, release
from nexus.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureView, RepoConfig
    from feast.infra.online_stores.online_store import OnlineStore
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

Vector = npt.NDArray[np.float32]


class _Reader(NamedTuple):
    """What the registry said, once: Feast's SDK asks it again, and checks and copies, on every read."""

    online: OnlineStore
    config: RepoConfig
    view: FeatureView


class ViewerFeatures:
    """Reads the model's context from the online store.

    Building it imports Feast (seconds) and opens nothing; the first read asks Postgres for the registry, once.
    """

    def __init__(self, settings: Settings) -> None:
        import_feast()
        self._settings = settings
        self._reader: _Reader | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings) -> ViewerFeatures:
        """The reader of the store that the settings describe."""
        return cls(settings)

    def read(self, user_id: UUID | str) -> Vector:
        """The features of one viewer in the order of ``CONTEXT_FEATURES``; 0 for what is not known."""
        return self.read_many([user_id])[0]

    def read_many(self, user_ids: Sequence[UUID | str]) -> Vector:
        """[n, F]: one row per viewer, in the order given."""
        if not user_ids:
            return np.zeros((0, len(CONTEXT_FEATURES)), dtype=np.float32)
        reader = self._opened()
        rows = reader.online.online_read(
            reader.config, reader.view, [_key(user_id) for user_id in user_ids], [*CONTEXT_FEATURES]
        )
        vectors = np.zeros((len(user_ids), len(CONTEXT_FEATURES)), dtype=np.float32)
        for row, (_, values) in enumerate(rows):
            if values:
                vectors[row] = [_number(values[name]) for name in CONTEXT_FEATURES]
        return vectors

    async def read_named(self, user_id: UUID) -> dict[str, float]:
        """The same by name, without blocking the event loop."""
        vector = await asyncio.to_thread(self.read, user_id)
        return dict(zip(CONTEXT_FEATURES, vector.tolist(), strict=True))

    def _opened(self) -> _Reader:
        with self._lock:
            if self._reader is None:
                store = feature_store(self._settings)
                with quiet():
                    view = store.get_feature_view(VIEWER.name)
                release(store)
                self._reader = _Reader(store.provider.online_store, store.config, view)
            return self._reader


def _key(user_id: UUID | str) -> EntityKey:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=[VIEWER.key], entity_values=[Value(string_val=str(user_id))])


def _number(value: Value) -> float:
    kind = value.WhichOneof("val")
    return 0.0 if kind is None else float(getattr(value, kind))
