"""The ONNX graph against an independent forward pass in numpy, and what vectors mean."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from media.text import cache, minilm_files
from media.text.embedder import BATCH, MAX_TOKENS, TextEmbedder
from nexus.errors import NexusError
from nexus.settings import ROOT

pytestmark = pytest.mark.unit

SENTENCE = "A cowboy doll is jealous of a new spaceman: Toy Story (1995)!"
erf = np.vectorize(math.erf, otypes=[np.float64])


def reference(text: str) -> np.ndarray:
    """BERT as the paper has it, one text, float64, one head at a time."""
    weights = {name: value.astype(np.float64) for name, value in load_file(minilm_files.find().weights).items()}
    tokenizer = Tokenizer.from_file(str(minilm_files.find().tokenizer))
    tokenizer.no_padding()
    ids = tokenizer.encode(text).ids

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    part = "embeddings"
    x = weights[f"{part}.word_embeddings.weight"][ids]
    x = x + weights[f"{part}.position_embeddings.weight"][: len(ids)]
    x = norm(x + weights[f"{part}.token_type_embeddings.weight"][0], f"{part}.LayerNorm")
    for layer in range(6):
        part = f"encoder.layer.{layer}"
        query, key, value = (dense(x, f"{part}.attention.self.{name}") for name in ("query", "key", "value"))
        heads = []
        for head in range(12):
            at = slice(head * 32, head * 32 + 32)
            scores = query[:, at] @ key[:, at].T / math.sqrt(32)
            attention = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(attention / attention.sum(-1, keepdims=True) @ value[:, at])
        attended = dense(np.concatenate(heads, axis=-1), f"{part}.attention.output.dense")
        x = norm(x + attended, f"{part}.attention.output.LayerNorm")
        hidden = dense(x, f"{part}.intermediate.dense")
        hidden = 0.5 * hidden * (1 + erf(hidden / math.sqrt(2)))
        x = norm(x + dense(hidden, f"{part}.output.dense"), f"{part}.output.LayerNorm")
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


@pytest.mark.parametrize("text", [SENTENCE, "", "Été à la plage 東京 🙂"])
def test_embed__one_text__equals_the_reference(embedder: TextEmbedder, text: str) -> None:
    assert np.abs(embedder.embed([text])[0] - reference(text)).max() < 1e-5


def test_embed__many_texts__each_as_if_alone_in_the_given_order(embedder: TextEmbedder) -> None:
    texts = [" ".join(["film"] * (n * 7 % 40 + 1)) for n in range(BATCH * 2 + 3)] + [SENTENCE]
    seen: list[tuple[int, int]] = []
    together = embedder.embed(texts, on_progress=lambda done, of: seen.append((done, of)))
    for row in (0, 1, BATCH, len(texts) - 1):
        np.testing.assert_allclose(together[row], embedder.embed([texts[row]])[0], atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert seen[-1] == (len(texts), len(texts))


def test_embed__no_text_and_too_long_text__work(embedder: TextEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 384)
    long = "space " * 5000
    np.testing.assert_allclose(embedder.embed([long]), embedder.embed(["space " * (MAX_TOKENS - 2)]), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("A man is eating food.", "A man is eating a piece of bread.", "A monkey is playing drums."),
        ("heist film with robbers", "Heist (2001). Crime, Drama.", "A Paris Wedding (2001). Comedy, Romance."),
        ("robots in space", "Star Voyage. Science fiction.", "Letters to My Sweetheart. Romance."),
    ],
)
def test_embed__related_texts__are_nearer_than_unrelated(
    embedder: TextEmbedder, text: str, near: str, far: str
) -> None:
    asked, related, unrelated = embedder.embed([text, near, far])
    assert asked @ related > asked @ unrelated + 0.1


def test_ensure__two_processes_at_once__make_one_whole_file(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from media.text import cache; print(cache.ensure(Path(sys.argv[1])))"
    makers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = {maker.communicate(timeout=60)[0].strip() for maker in makers}
    assert answers == {str(cache.model_path(tmp_path))}
    assert [path.name for path in tmp_path.glob("*.onnx*") if not path.name.startswith(".")] == [
        cache.model_path(tmp_path).name
    ]
    assert TextEmbedder.load(tmp_path).embed(["x"]).shape == (1, 384)


def test_ensure__folder_that_can_t_be_made__names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NexusError) as refused:
        cache.ensure(tmp_path / "file" / "models")
    assert refused.value.field == "home"
    assert refused.value.remedy


def test_build__other_weights__are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(NexusError, match="not the expected one"):
        cache.build(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
