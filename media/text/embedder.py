"""Sentences to vectors: all-MiniLM-L6-v2 through ONNX Runtime, without torch or transformers.

Belongs here: loading, tokenising, batching. Does not belong here: what is said about a title (media.text.describe).

The weights stay float32. Dynamic int8 (onnxruntime.quantization) was measured on the 9,066 MovieLens titles and
refused: half the CPU time (11 s instead of 21), but the cosine to float32 fell to 0.969 at worst (0.99 was asked
for), one nearest neighbour of six changed, and a title's vector depended on the other titles of its batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from media.text import cache, minilm_files
from media.text.cache import MODEL_NAME

if TYPE_CHECKING:
    import onnxruntime
    import tokenizers

__all__ = ["DIMENSIONS", "MODEL_NAME", "TextEmbedder", "Vectors"]

DIMENSIONS = 384
MAX_TOKENS = 128
BATCH = 32
MAX_THREADS = 4

Vectors = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]


class TextEmbedder:
    """The sentence model, ready. May be shared between threads.

    Build it with :meth:`load`.
    """

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: tokenizers.Tokenizer) -> None:
        self._session = session
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, cache_dir: Path, *, threads: int | None = None) -> TextEmbedder:
        """Load the model, making its ONNX file first if ``cache_dir`` lacks it.

        Args:
            cache_dir: Where the file is kept, ``$NEXUS_HOME/models``.
            threads: How many cores one batch may use; by default all, at most four.
        """
        import onnxruntime
        import tokenizers

        path = cache.ensure(cache_dir)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or min(os.cpu_count() or 1, MAX_THREADS)
        # Threads that spin while they wait took 40 % of the throughput on two busy cores, and burn an idle API.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        tokenizer = tokenizers.Tokenizer.from_file(str(minilm_files.find().tokenizer))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        return cls(session, tokenizer)

    def embed(self, texts: Sequence[str], *, on_progress: Progress | None = None) -> Vectors:
        """Unit vectors, one row a text.

        Args:
            texts: Read up to 128 tokens each.
            on_progress: Called after each batch with how many texts are done, and of how many.
        """
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        done = 0
        for rows, tokens in self._batches(texts):
            vectors[rows] = self._run(tokens)
            done += len(rows)
            if on_progress is not None:
                on_progress(done, len(texts))
        return vectors

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[npt.NDArray[np.int64], list[list[int]]]]:
        """Texts of like length together, so that little is padded."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        order = np.argsort([len(ids) for ids in tokens], kind="stable")
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            yield rows, [tokens[row] for row in rows]

    def _run(self, tokens: list[list[int]]) -> Vectors:
        width = max(map(len, tokens))
        input_ids = np.zeros((len(tokens), width), dtype=np.int64)
        mask = np.zeros_like(input_ids)
        for row, ids in enumerate(tokens):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        outputs: list[Any] = self._session.run(["embedding"], {"input_ids": input_ids, "attention_mask": mask})
        return np.asarray(outputs[0], dtype=np.float32)
