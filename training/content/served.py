"""The content model as it is served: a small projection beside the champion, for titles that the champion has not met.

Belongs here: the file's form, reading and checking it, the arithmetic; numpy and safetensors only, since serving imports
it. Does not belong here: learning it (training.content.bundled), which titles are ranked by it (serving).

``score(j) = popular . F_j + sum over watched titles i, newest first, of decay ** step * left_i . F_j`` for the newest ``last``
of them, where ``F_j`` is the row of facts of title j (training.content.describer). A title that viewers met in training has its
``left_i`` in the file; another one asks by what is known about it alone: ``left_i = own * F_i``. So every title of a library
can ask and be asked about, and what each watched title adds is exact.

==============  =========  ==========  ================================================================
``titles``      int64      ``[M]``     titles that somebody met, as indices into the bundle's vocabulary
``left``        float16    ``[M, D]``  their rows, each divided by its ``scale``
``scale``       float32    ``[M]``
``own``         float32    ``[D]``     what each fact counts by itself
``popular``     float32    ``[D]``     what each fact says about popularity
``reference``   float16    ``[R, D]``  facts of some met titles, drawn: what an ordinary title scores for a viewer
``mean``        float32    ``[d]``     of text vectors
``axes``        float32    ``[d, W]``  principal directions of text vectors
==============  =========  ==========  ================================================================

One entry of metadata, ``facts``, holds the rest as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.bundle_format import damaged
from training.content.describer import Describer, Floats

METADATA = "facts"
_KINDS: Mapping[str, tuple[str, int]] = {
    "titles": ("int64", 1),
    "left": ("float16", 2),
    "scale": ("float32", 1),
    "own": ("float32", 1),
    "popular": ("float32", 1),
    "reference": ("float16", 2),
    "mean": ("float32", 1),
    "axes": ("float32", 2),
}


class Served(BaseModel):
    """What the metadata say."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    genres: tuple[str, ...]
    years_width: float = Field(gt=0)
    last: int = Field(gt=0)
    decay: float = Field(gt=0, le=1)


@dataclass(frozen=True, eq=False)
class Projection:
    """A projection in memory. Never changes.

    Attributes:
        facts: The metadata.
        arrays: As listed above.
    """

    facts: Served
    arrays: Mapping[str, npt.NDArray[Any]]

    @classmethod
    def read(cls, path: Path, size: int) -> Projection:
        """Read and check a file.

        Args:
            path: The file.
            size: Of the bundle's vocabulary, the padding among it.

        Raises:
            NexusError: category ``internal`` when it is not of this form.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                facts = Served.model_validate_json((file.metadata() or {}).get(METADATA, ""))
                arrays = {name: file.get_tensor(name) for name in _KINDS}
        except (SafetensorError, ValidationError, OSError, KeyError, TypeError, ValueError) as error:
            raise damaged(path, f"it cannot be read ({type(error).__name__})") from None
        made = cls(facts, arrays)
        complaint = made.complaint(size)
        if complaint is not None:
            raise damaged(path, complaint)
        return made

    def write(self, path: Path) -> None:
        """Write a file; equal content gives equal bytes."""
        from safetensors.numpy import save_file

        whole = {name: np.ascontiguousarray(self.arrays[name]) for name in _KINDS}
        save_file(whole, str(path), metadata={METADATA: json.dumps(self.facts.model_dump(mode="json"), sort_keys=True)})

    def complaint(self, size: int) -> str | None:
        """What does not fit together, if anything."""
        for name, (kind, dimensions) in _KINDS.items():
            found = self.arrays[name]
            if found.dtype != kind or found.ndim != dimensions:
                return f"{name} is {found.dtype} of shape {found.shape}"
            if not np.isfinite(found).all():
                return f"{name} has values that are no numbers"
        titles, width = self.arrays["titles"], self.describer.width
        wanted = {
            "left": (len(titles), width),
            "scale": (len(titles),),
            "own": (width,),
            "popular": (width,),
            "reference": (len(self.arrays["reference"]), width),
            "axes": (len(self.arrays["mean"]), self.arrays["axes"].shape[1]),
        }
        for name, shape in wanted.items():
            if self.arrays[name].shape != shape:
                return f"{name} has shape {self.arrays[name].shape}, expected {shape}"
        if len(titles) and not (titles.min() > 0 and titles.max() < size and (np.diff(titles) > 0).all()):
            return "titles are no ascending indices into the vocabulary"
        return None if len(self.arrays["reference"]) else "no title of reference"

    @cached_property
    def describer(self) -> Describer:
        """Makes rows of facts of any titles."""
        return Describer(self.facts.genres, self.facts.years_width, self.arrays["mean"], self.arrays["axes"])

    @cached_property
    def row_of(self) -> dict[int, int]:
        """The row of each met title, by its index in the vocabulary."""
        return {position: row for row, position in enumerate(self.arrays["titles"].tolist())}

    @cached_property
    def reference(self) -> Floats:
        """Facts of titles of reference, ``[R, D]``."""
        found: Floats = self.arrays["reference"].astype(np.float32)
        return found

    def static(self, rows: Floats) -> Floats:
        """What titles of these facts score without a viewer, ``[n]``."""
        found: Floats = rows @ self.arrays["popular"]
        return found

    def lefts(self, met: Sequence[int | None], facts: Floats) -> Floats:
        """What watched titles ask for, newest first, each already counted by its age, ``[L, D]``.

        Args:
            met: The row of each title among the met ones; None: it is none of them.
            facts: ``[L, D]``; read where ``met`` is None.
        """
        found = facts * self.arrays["own"]
        places = [place for place, row in enumerate(met) if row is not None]
        rows = [row for row in met if row is not None]
        found[places] = self.arrays["left"][rows].astype(np.float32) * self.arrays["scale"][rows][:, None]
        weighed: Floats = found * (self.facts.decay ** np.arange(len(found)))[:, None].astype(np.float32)
        return weighed
