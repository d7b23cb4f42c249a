"""RecTools' SASRec, eSASRec (SASRec with LiGR layers) and HSTU, trained by RecTools itself.

Belongs here: these models, choosing the epoch on validation titles, scores of histories. Does not belong here: settings
(settings), judging, step times (steps). Runs in the peers' environment.

Training is RecTools' own: data preparation, loader, Lightning module and Trainer. Scores are what ``recommend`` ranks by: the
state of the last place times the titles' embeddings.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl  # noqa: TID251 (what RecTools is built on)
import torch  # noqa: TID253 (the peers' own process)
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import HSTUModel, SASRecModel
from rectools.models.nn.item_net import IdEmbeddingsItemNet
from rectools.models.nn.transformers.ligr import LiGRLayers

from benchmarks.peers.handed import Array, Handed, Rows, ndcg_10
from benchmarks.peers.settings import PATIENCE, rectools

ROWS = 256


def answer(name: str, handed: Handed, seed: int, budget_s: float, threads: int) -> tuple[Array, dict[str, Any]]:
    """Scores of the test rows ``[n, N+1]``, and what came of the training."""
    quiet()
    torch.set_num_threads(threads)
    pl.seed_everything(seed)
    values = rectools(name, len(handed.learn))
    watch = Watch(
        lambda model: ndcg_10(scores(model, handed.validation, handed.size), handed.validation, handed.targets),
        budget_s,
    )
    model = build(values, lambda: trainer(values["epochs"], [watch]))
    watch.model = model
    model.fit(dataset(handed.learn))
    kept: Watch = next(found for found in model.fit_trainer.callbacks if isinstance(found, Watch))
    model.lightning_model.load_state_dict(kept.best)
    said = {
        "settings": values | {"threads": threads},
        "validation_ndcg_10": max(kept.curve),
        "best_epoch": int(np.argmax(kept.curve)) + 1,
        "epochs": len(kept.curve),
        "seconds_per_epoch": round(kept.training_s / len(kept.curve), 2),
        "stopped_by": kept.stopped_by,
        "curve": [round(figure, 5) for figure in kept.curve],
    }
    return scores(model, handed.test, handed.size), said


def quiet() -> None:
    """No banners of libraries."""
    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)


def dataset(rows: Rows) -> Any:
    """RecTools' data set; the order is the place in the history (no protocol here gives the time of the request)."""
    frame = pd.DataFrame(
        {
            Columns.User: rows.owners,
            Columns.Item: rows.items,
            Columns.Weight: np.ones(len(rows.items), np.float32),
            Columns.Datetime: pd.Timestamp("2000-01-01") + pd.to_timedelta(rows.places, unit="s"),
        }
    )
    return Dataset.construct(frame)


def build(values: dict[str, Any], make_trainer: Callable[[], pl.Trainer]) -> Any:
    """The untrained model. HSTU gets no relative time: it would have to be told when each list is asked for."""
    words = {key: value for key, value in values.items() if key not in ("layers", "logits_t", "kind")}
    words |= {"item_net_block_types": (IdEmbeddingsItemNet,), "get_trainer_func": make_trainer}
    if "logits_t" in values:
        return HSTUModel(
            **words, lightning_module_kwargs={"logits_t": values["logits_t"]}, relative_time_attention=False
        )
    if values.get("layers") == "ligr":
        words |= {"transformer_layers_type": LiGRLayers, "transformer_layers_kwargs": {"ff_factors_multiplier": 4}}
    return SASRecModel(**words)


def trainer(epochs: int, callbacks: list[pl.Callback], precision: Any = "32-true") -> pl.Trainer:
    """A trainer on the CPU that says nothing."""
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        precision=precision,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=callbacks,
    )


class Watch(pl.Callback):
    """After each epoch looks at the validation titles, keeps the best weights, and ends by patience or budget."""

    def __init__(self, judge: Callable[[Any], float], budget_s: float) -> None:
        self.judge, self.budget_s = judge, budget_s
        self.model: Any = None
        self.curve: list[float] = []
        self.best: dict[str, Any] = {}
        self.began = self.epoch_began = time.monotonic()
        self.training_s = 0.0
        self.stopped_by = "epochs"

    def __deepcopy__(self, memory: dict[int, Any]) -> Watch:
        """RecTools copies its trainer; this one stays the same, as it knows the model."""
        return self

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """The clock of the epoch."""
        self.epoch_began = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge, keep, end."""
        self.training_s += time.monotonic() - self.epoch_began
        pl_module.eval()
        self.curve.append(self.judge(self.model))
        pl_module.train()
        if self.curve[-1] >= max(self.curve):
            self.best = deepcopy(pl_module.state_dict())
        spent = time.monotonic() - self.began
        print(
            f"epoch {len(self.curve)}: validation NDCG@10 {self.curve[-1]:.4f}, {spent:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        if len(self.curve) - 1 - int(np.argmax(self.curve)) >= PATIENCE:
            self.stopped_by, trainer.should_stop = "patience", True
        elif spent + spent / len(self.curve) > self.budget_s:
            self.stopped_by, trainer.should_stop = "budget", True


def scores(model: Any, rows: Rows, size: int) -> Array:
    """Scores of all titles for histories ``[n, N+1]``; titles that the model never met score minus infinity."""
    prepared, torch_model = model.data_preparator, model.lightning_model.torch_model
    length = prepared.session_max_len
    external = prepared.item_id_map.external_ids
    known = np.array([index for index, name in enumerate(external) if name != "PAD"])
    inner = np.zeros(size, np.int64)
    inner[np.array([external[index] for index in known], dtype=np.int64)] = known
    out = np.full((len(rows), size), -np.inf, np.float32)
    columns = np.flatnonzero(inner)
    histories = list(rows)
    torch_model.eval()
    with torch.inference_mode():
        titles = torch_model.item_model.get_all_embeddings()
        for start in range(0, len(rows), ROWS):
            x = np.zeros((len(histories[start : start + ROWS]), length), np.int64)
            for row, items in enumerate(histories[start : start + ROWS]):
                met = inner[items][inner[items] > 0][-length:]
                x[row, length - len(met) :] = met
            state = torch_model.encode_sessions({"x": torch.from_numpy(x)}, titles)[:, -1]
            out[start : start + len(x), columns] = (state @ titles.T).numpy()[:, inner[columns]]
    return out
