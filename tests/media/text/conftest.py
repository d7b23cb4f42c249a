from __future__ import annotations

from pathlib import Path

import pytest

from media.text.embedder import TextEmbedder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("minilm")


@pytest.fixture(scope="session")
def embedder(model_folder: Path) -> TextEmbedder:
    """The real model, built from the packaged weights."""
    return TextEmbedder.load(model_folder)
