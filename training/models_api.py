"""The one interface of everything that can be trained and judged: floors, the mixture, sequence models, hybrids.

Belongs here: the interface, and what a fitted model may offer beyond scores. Does not belong here: any model, protocols
(training.protocols), what is run in which order (training.run).

A model is built by a recipe with its values inside, fitted once to ``learn`` while every choice (settings, when to stop) is
made on ``validation``, and then judged on test histories it may look at, but not learn from, unless it is :class:`Refittable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nexus.errors import Category, NexusError
from training.dataset import Dataset, Floats, History, Split
from training.evaluation import Scorer

if TYPE_CHECKING:
    from training.export import Exported

Tell = Callable[[str], None]
"""Takes one line of progress for a person."""


def quiet(line: str) -> None:
    """Tells nobody."""


class TooLittleError(NexusError):
    """The histories are too few or too short for this model; another may do with them (floors always do).

    Args:
        message: What is missing.
        found: What there is.
    """

    def __init__(self, message: str, found: str) -> None:
        super().__init__(
            message,
            category=Category.CONFLICT,
            field="interactions",
            value=found,
            remedy="give data with more viewers and titles, or train the recipe floors",
        )


class Model(Protocol):
    """Something that learns from histories and then scores the catalogue."""

    @property
    def name(self) -> str:
        """A short name, as it stands in tables."""
        ...

    def fit(
        self,
        dataset: Dataset,
        learn: Sequence[History],
        *,
        validation: Split | None,
        seed: int,
        budget_s: float,
        tell: Tell,
    ) -> Scorer:
        """Learn.

        Args:
            dataset: Vocabulary and facts of titles. Its ``histories`` hold the held-out titles: learn from ``learn`` only.
            learn: Histories to learn from, oldest title first; some may be empty.
            validation: Where choices are made; None: take the model's values as they are.
            seed: Of everything that is drawn.
            budget_s: Seconds after which training ends with the best it has.
            tell: Takes lines of progress.

        Raises:
            NexusError: The histories cannot be learned from at all (nothing in them).
        """
        ...


@runtime_checkable
class Refittable(Protocol):
    """A fitted model that is counted anew in no time, with what was chosen kept: floors, neighbour tables."""

    def refit(self, learn: Sequence[History]) -> Scorer:
        """The same settings and weights over other histories of the same catalogue."""
        ...


@runtime_checkable
class Explained(Protocol):
    """A fitted model that says which values it came to."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Names and plain values, for the summary."""
        ...


@runtime_checkable
class Composed(Protocol):
    """A fitted model that is made of others."""

    def every_part(self, learn: Sequence[History]) -> Mapping[str, Scorer]:
        """Its parts over the histories it was counted on, also those it does without."""
        ...


@runtime_checkable
class Exportable(Protocol):
    """A fitted model that can be written as ONNX with the signature of training.bundle_format."""

    @property
    def history_length(self) -> int:
        """``L`` of the signature: the newest titles that the graph looks at."""
        ...

    def export(self, dataset: Dataset, path: Path) -> Exported:
        """Write the file and prove that it says what the scorer says.

        Raises:
            NexusError: category ``internal`` when the two disagree.
        """
        ...


@runtime_checkable
class Resumable(Protocol):
    """A model that keeps checkpoints, so that a killed training goes on to the same result."""

    def keep_in(self, folder: Path) -> None:
        """Where its checkpoints are, or shall be; called once, before :meth:`Model.fit`."""
        ...


@runtime_checkable
class OnDevice(Protocol):
    """A model that can be trained on an accelerator."""

    def use_device(self, device: str) -> None:
        """``auto``, ``cpu`` or ``gpu``; called once, before :meth:`Model.fit`."""
        ...


@runtime_checkable
class TakesVectors(Protocol):
    """A model that makes use of vectors of texts about titles, where there are any."""

    def use_vectors(self, vectors: Callable[[Dataset], Floats]) -> None:
        """Gives ``[N+1, d]`` for a catalogue, a row of zeros where nothing is known; called once, before :meth:`Model.fit`."""
        ...
