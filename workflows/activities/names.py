"""The names under which activities are registered and called; a test holds both sides together."""

from __future__ import annotations

STORE_CONTENT = "store_content"
EMBED_CONTENT = "embed_content"
FIND_SIMILAR = "find_similar"
FIND_AUDIENCE = "find_audience"
PUBLISH_CONTENT = "publish_content"
CHANGE_REGISTRY = "change_registry"

ALL = frozenset({STORE_CONTENT, EMBED_CONTENT, FIND_SIMILAR, FIND_AUDIENCE, PUBLISH_CONTENT, CHANGE_REGISTRY})
