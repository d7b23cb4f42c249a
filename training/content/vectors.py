"""Where the text vectors of titles come from: a file that an encoder has written.

Belongs here: reading the file. Does not belong here: encoders (the room media, which training does not import), rows of facts
(training.content.facts).

The file is an ``.npz`` with ``ids`` (text ``[M]``, titles in the data's own ids) and ``vectors`` (numbers ``[M, d]``), in any order.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nexus.errors import NexusError, invalid, not_found
from training.dataset import Dataset, Floats

Vectors = Callable[[Dataset], Floats]
"""Gives ``[N+1, d]`` for a catalogue; a row of zeros where nothing is known."""


@dataclass(frozen=True)
class TextVectors:
    """Vectors by title.

    Attributes:
        path: Where they were read.
        sha256: Of the file.
        ids: Titles, in the data's own ids.
        rows: ``[M, d]``.
    """

    path: Path
    sha256: str
    ids: tuple[str, ...]
    rows: Floats

    @classmethod
    def read(cls, path: Path) -> TextVectors:
        """The whole file.

        Raises:
            NexusError: ``not_found`` or ``invalid``: no such file, or not of this form.
        """
        try:
            content = path.read_bytes()
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                ids = tuple(str(name) for name in file["ids"])
                rows = np.asarray(file["vectors"], dtype=np.float32)
        except FileNotFoundError:
            raise not_found(
                "no such file", field="--vectors", value=path, remedy="name an .npz with ids and vectors"
            ) from None
        except (
            OSError,
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            EOFError,
            zipfile.BadZipFile,
            zlib.error,
            NotImplementedError,
        ) as error:
            raise _wrong(path, f"it cannot be read ({type(error).__name__})") from None
        if rows.ndim != 2 or len(ids) != len(rows) or not rows.size:
            raise _wrong(path, f"{len(ids)} ids and vectors of shape {rows.shape}")
        return cls(path, hashlib.sha256(content).hexdigest(), ids, rows)

    def of(self, dataset: Dataset) -> Floats:
        """The vectors of a catalogue, ``[N+1, d]``.

        Raises:
            NexusError: ``invalid``: none of its titles is in the file.
        """
        found = aligned(self.ids, self.rows, dataset)
        if found is None:
            raise _wrong(self.path, "it has none of the data's titles")
        return found


def aligned(ids: Sequence[str], rows: Floats, dataset: Dataset) -> Floats | None:
    """Rows in the order of a catalogue, ``[N+1, d]``, zeros where there is none; None: of none of its titles."""
    place = {name: number for number, name in enumerate(ids)}
    known = [number for number, name in enumerate(dataset.vocabulary) if number and name in place]
    if not known:
        return None
    found = np.zeros((dataset.size, rows.shape[1]), np.float32)
    found[known] = rows[[place[dataset.vocabulary[number]] for number in known]]
    return found


def _wrong(path: Path, reason: str) -> NexusError:
    return invalid(
        f"no vectors of these titles: {reason}",
        field="--vectors",
        value=path,
        remedy="write it with python -m benchmarks.title_vectors, or any .npz with ids [M] and vectors [M, d]",
    )
