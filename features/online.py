"""What the feature store knows about a viewer now, for a process that serves.

Belongs here: reading the context features. Does not belong here: writing them (features.store.publish).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from features.definitions import CONTEXT_REFERENCES, VIEWER
from features.schema import CONTEXT_FEATURES
from features.store import feature_store, import_feast, quiet, release
from nexus.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore

Vector = npt.NDArray[np.float32]


class ViewerFeatures:
    """Reads the model's context from the online store.

    Building it imports Feast (seconds) and opens nothing; the first read asks Postgres for the registry, once.
    """

    def __init__(self, settings: Settings) -> None:
        import_feast()
        self._settings = settings
        self._store: FeatureStore | None = None
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
        found: dict[str, list[Any]] = (
            self._opened()
            .get_online_features(
                features=list(CONTEXT_REFERENCES), entity_rows=[{VIEWER.key: str(user_id)} for user_id in user_ids]
            )
            .to_dict()
        )
        columns = [[0.0 if value is None else value for value in found[name]] for name in CONTEXT_FEATURES]
        return np.asarray(columns, dtype=np.float32).T.copy()

    async def read_named(self, user_id: UUID) -> dict[str, float]:
        """The same by name, without blocking the event loop."""
        vector = await asyncio.to_thread(self.read, user_id)
        return dict(zip(CONTEXT_FEATURES, vector.tolist(), strict=True))

    def _opened(self) -> FeatureStore:
        with self._lock:
            if self._store is None:
                store = feature_store(self._settings)
                with quiet():
                    store.get_feature_view(VIEWER.name)
                release(store)
                self._store = store
            return self._store
