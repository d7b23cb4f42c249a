"""The neural candidate from data to scores: what is counted, trained, chosen, and rebuilt for test and for serving.

Belongs here: preparing once per data set, training one seed, the fitted scorer.
Does not belong here: floors, MLflow, the gate.

Which data goes where, with each history ending in ..., validation title, test title:

* training targets lie before the validation title; their tables come from the other folds of viewers (training.examples);
* untrained, mixture or attention is chosen by NDCG@10 on the validation titles, with tables of everything before these;
* the test figure uses the same weights, with tables of everything before the test titles;
* the served model uses the same weights, with tables of everything.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from nexus import logs
from training import neighbours
from training.config import CPU, Compute, RecommenderConfig
from training.dataset import Dataset, Floats, History, Split, leave_out
from training.evaluation import Outcome, evaluate
from training.examples import Examples, cross_fitted, padded
from training.linear import incidence
from training.neighbours import Tables

if TYPE_CHECKING:
    from training.models.mixture import AttentionWeigher

THREADS = 1
"""The mixture is small: more threads would hardly quicken it, and other parts train beside it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that all seeds share."""

    dataset: Dataset
    config: RecommenderConfig
    content: sp.csr_matrix
    learn: Sequence[History]
    validation: Split
    tables: Tables
    factors: Floats
    examples: Examples


@dataclass(frozen=True, slots=True)
class Neural:
    """A trained network over tables: a scorer."""

    weigher: AttentionWeigher
    tables: Tables

    def scores(self, histories: Sequence[History], contexts: Floats) -> Floats:
        """Scores of the whole catalogue."""
        import torch

        length = self.weigher.steps.shape[0]
        items, values, ages = padded(histories, length)
        with torch.no_grad():
            inputs = (torch.from_numpy(array) for array in (items, values, ages, np.ascontiguousarray(contexts)))
            weights = self.weigher(*inputs).numpy()
            static = float(self.weigher.static_weight())
        total = np.tile(static * self.tables.prior(), (len(histories), 1))
        rows = np.repeat(np.arange(len(histories)), length)
        for channel, matrix in enumerate(self.tables.matrices):
            asked = sp.csr_matrix(
                (weights[:, :, channel].ravel(), (rows, items.ravel())), shape=(len(histories), self.tables.size)
            )
            total += (asked @ matrix).toarray()
        return total.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Trained:
    """One seed's result; ``curve`` has one point per epoch, the first for the untrained model."""

    seed: int
    weigher: AttentionWeigher = field(repr=False)
    validation: Outcome = field(repr=False)
    curve: list[dict[str, float]] = field(repr=False)
    best_epoch: int
    seconds: float


def prepare(dataset: Dataset, config: RecommenderConfig, *, seed: int = 0) -> Prepared:
    """Count tables, factors and examples, once for all seeds."""
    validation = leave_out(dataset, last=2, name="validation")
    return prepare_from(dataset, config, validation.histories, validation, seed=seed)


def prepare_from(
    dataset: Dataset, config: RecommenderConfig, learn: Sequence[History], validation: Split, *, seed: int = 0
) -> Prepared:
    """The same from any histories to learn from and any titles to choose on."""
    started = time.monotonic()
    popularity = neighbours.count([h.items for h in learn], dataset.size).popularity
    content = neighbours.content_table(dataset, popularity, config.width)
    examples = cross_fitted(learn, dataset.size, content, config, seed)
    tables = tables_of(learn, dataset.size, content, config)
    factors = factorise(learn, popularity, config.factors)
    logs.get(__name__).info(
        "recommender_prepared", examples=len(examples), seconds=round(time.monotonic() - started, 1)
    )
    return Prepared(dataset, config, content, learn, validation, tables, factors, examples)


def tables_of(histories: Sequence[History], size: int, content: sp.csr_matrix, config: RecommenderConfig) -> Tables:
    """Tables of the given histories."""
    sequences = [history.items for history in histories]
    counted = neighbours.count(sequences, size)
    return neighbours.build(counted, sequences, content, width=config.width, ease_lambda=config.ease_lambda)


def factorise(histories: Sequence[History], popularity: Floats, count: int) -> Floats:
    """Truncated SVD of the interactions, popular titles weighed down; 0 for titles that nobody met."""
    from scipy.sparse.linalg import svds

    seen = incidence([history.items for history in histories], len(popularity)).astype(np.float64)
    weighted = seen @ sp.diags(np.maximum(popularity, 1.0) ** -0.3)
    factors = np.zeros((len(popularity), count), dtype=np.float32)
    rank = min(count, min(weighted.shape) - 1)
    if rank < 1:
        return factors
    _, strength, titles = svds(weighted, k=rank, v0=np.ones(min(weighted.shape)))
    factors[:, :rank] = (titles.T * np.sqrt(strength)).astype(np.float32)
    # The sign of a singular vector is arbitrary: make its largest entry positive, so that runs can be compared.
    factors *= np.where(factors[np.abs(factors).argmax(axis=0), np.arange(count)] < 0, -1.0, 1.0)
    return (factors / (4.0 * max(float(factors.std()), 1e-6))).astype(np.float32)


def train(prepared: Prepared, *, seed: int, max_seconds: float, compute: Compute = CPU) -> Trained:
    """Train one seed and keep the stage that ranks the validation titles best."""
    import lightning.pytorch as pl
    import torch

    from training.models.mixture import AttentionWeigher
    from training.models.module import ExamplesModule, MixtureModule

    started = time.monotonic()
    torch.set_num_threads(THREADS)
    torch.manual_seed(seed)
    config, dataset = prepared.config, prepared.dataset
    weigher = AttentionWeigher(
        torch.from_numpy(prepared.tables.popularity),
        torch.from_numpy(prepared.factors),
        len(dataset.context_features),
        config,
    )

    data = ExamplesModule(prepared.examples, config.batch_size, seed)
    batches = -(-len(data.batches) // compute.devices) if compute.is_distributed else len(data.batches)
    with tempfile.TemporaryDirectory() as shared:
        module = MixtureModule(
            weigher,
            config,
            partial(_validated, prepared),
            batches=batches,
            shared=Path(shared) if compute.is_distributed else None,
        )
        for has_encoder, epochs in ((False, config.mixture_epochs), (True, config.attention_epochs)):
            weigher.has_encoder = has_encoder
            left = max(max_seconds - (time.monotonic() - started), 1.0)
            _quiet_trainer(pl, epochs, left, compute).fit(module, datamodule=data)
            module.restore_best()
    weigher.cpu()
    outcome = evaluate(Neural(weigher, prepared.tables), prepared.validation, dataset.size)
    return Trained(seed, weigher, outcome, module.curve, module.best_epoch, time.monotonic() - started)


def _validated(prepared: Prepared, network: AttentionWeigher) -> float:
    """NDCG@10 of a network on the validation titles."""
    outcome = evaluate(Neural(network, prepared.tables), prepared.validation, prepared.dataset.size)
    return float(outcome.ndcg_10.mean())


def _quiet_trainer(pl: Any, epochs: int, max_seconds: float, compute: Compute) -> Any:
    import logging
    import warnings

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    return pl.Trainer(
        **compute.trainer_arguments(),
        max_epochs=epochs,
        max_time=timedelta(seconds=max_seconds),
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def rebuilt(trained: Trained, prepared: Prepared, histories: Sequence[History]) -> Neural:
    """The same weights over tables of other histories of the same catalogue."""
    import copy

    import torch

    tables = prepared.tables
    if histories is not prepared.learn:
        tables = tables_of(histories, prepared.dataset.size, prepared.content, prepared.config)
    weigher = copy.deepcopy(trained.weigher)
    weigher.log_popularity.copy_(torch.log(torch.from_numpy(tables.popularity).clamp(min=1.0)))
    return Neural(weigher, tables)


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """Trained weights that can be put over tables of any histories (training.hybrid.fitted.Maker)."""

    trained: Trained
    prepared: Prepared = field(repr=False)

    def __call__(self, histories: Sequence[History]) -> Neural:
        """See :func:`rebuilt`."""
        return rebuilt(self.trained, self.prepared, histories)
