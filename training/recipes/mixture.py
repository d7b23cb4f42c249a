"""The recipes of the attention mixture (training.recommender), and of the floors alone.

Belongs here: values and which model they build; the mixture behind the one interface of models. Does not belong here: how
it is trained (training.recommender), other families of models (their own module beside this one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import config as configs
from training.config import Compute, RecommenderConfig
from training.dataset import Dataset, Floats, History, Split
from training.evaluation import Scorer
from training.models_api import Tell
from training.recipes.registry import Recipe

if TYPE_CHECKING:
    from training.export import Exported
    from training.recommender import Neural, Prepared, Trained

NAME = "attention"


@dataclass(frozen=True)
class FittedMixture:
    """The trained mixture over tables of some histories."""

    trained: Trained
    prepared: Prepared
    neural: Neural

    @property
    def settings(self) -> Mapping[str, Any]:
        """Values, and which stage of training ranked the validation titles best."""
        return self.prepared.config.model_dump() | {"best_epoch": self.trained.best_epoch}

    @property
    def history_length(self) -> int:
        """Newest titles that the model looks at."""
        return self.prepared.config.history_length

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """Scores of the whole catalogue."""
        return self.neural.scores(histories, contexts)

    def refit(self, learn: Sequence[History]) -> FittedMixture:
        """The same weights over tables of other histories."""
        from training.recommender import rebuilt

        return FittedMixture(self.trained, self.prepared, rebuilt(self.trained, self.prepared, learn))

    def export(self, dataset: Dataset, path: Path) -> Exported:
        """Write ONNX, compared with torch."""
        from training.export import export, scorer_of

        length = self.history_length
        return export(scorer_of(self.neural, length), dataset, path, history_length=length)


@dataclass
class MixtureModel:
    """The attention mixture."""

    config: RecommenderConfig
    name: str = NAME
    device: str = "cpu"

    def use_device(self, device: str) -> None:
        """Where Lightning trains."""
        self.device = device

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
        """Count tables, train, keep the stage that ranks the validation titles best.

        Raises:
            NexusError: category ``invalid`` without validation titles: the stages are chosen on them.
        """
        from nexus.errors import invalid
        from training import recommender
        from training.determinism import repeatable

        if validation is None:
            raise invalid(
                "the mixture chooses on validation titles",
                field="validation",
                value=None,
                remedy="give a validation split",
            )
        with repeatable(seed, threads=recommender.THREADS):
            prepared = recommender.prepare_from(dataset, self.config, learn, validation)
            tell(f"{self.name}: {len(prepared.examples)} examples from {len(learn)} viewers")
            trained = recommender.train(
                prepared, seed=seed, max_seconds=budget_s, compute=Compute(accelerator=self.device)
            )
        figure = float(trained.validation.ndcg_10.mean())
        tell(f"{self.name}: NDCG@10 {figure:.4f} on validation titles after {len(trained.curve) - 1} epochs")
        return FittedMixture(trained, prepared, recommender.Neural(trained.weigher, prepared.tables))


def recipe(name: str) -> Recipe:
    """``mixture``, ``debug`` or ``floors``."""
    if name == "floors":
        return Recipe(name, None)
    config = configs.debug() if name == "debug" else RecommenderConfig()
    is_debug = name == "debug"
    return Recipe(name, lambda: MixtureModel(config), config.model_dump(), is_quick=is_debug)
