"""The Lightning side: loss, optimiser, batches, and keeping the weights that ranked the validation titles best.

Belongs here: LightningModule, data module. Does not belong here: the network (mixture), what is fed (training.examples).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed
from torch.utils.data import DataLoader, IterableDataset

from training.config import RecommenderConfig
from training.examples import Examples
from training.models.mixture import AttentionWeigher

_BEST, _CURVE = "best.safetensors", "curve.json"
Judge = Callable[[AttentionWeigher], float]
Batch = dict[str, Tensor]


class MixtureModule(pl.LightningModule):
    """Trains an :class:`AttentionWeigher`.

    It is fitted twice: first the global weights without the encoder (cheap: a few hundred numbers), then the encoder on
    top of them. Of three states (untrained, mixture, attention) the one that ranks the validation titles best is kept; not
    the best of all epochs, since some hundred validation titles say little about which epoch was lucky.

    Args:
        weigher: The network.
        config: Learning rates and the like.
        judge: NDCG@10 on validation titles, the whole catalogue ranked.
        batches: Batches of an epoch and process, for the schedule.
        shared: Folder through which the first of several processes hands back what it kept; None: there is one process.
    """

    def __init__(
        self,
        weigher: AttentionWeigher,
        config: RecommenderConfig,
        judge: Judge,
        batches: int,
        shared: Path | None = None,
    ) -> None:
        super().__init__()
        self.weigher = weigher
        self.config = config
        self.batches = batches
        self.judge = judge
        self.shared = shared
        self.curve: list[dict[str, float]] = []
        self.best_epoch = 0
        self._best: dict[str, Tensor] = {}
        self._losses: list[float] = []

    def loss(self, batch: Batch) -> Tensor:
        """Cross entropy over all unseen titles."""
        weights = self.weigher(batch["items"], batch["values"], batch["ages_days"], batch["context"])
        static = self.weigher.static_weight()
        hit = (weights * batch["hit"]).sum((1, 2)) + static * batch["prior_hit"]
        unseen = (weights * batch["unseen"]).sum((1, 2)) + static * batch["prior_unseen"]
        return (torch.log(unseen + 1e-9) - torch.log(hit + 1e-9)).mean()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:  # noqa: ARG002
        """One batch."""
        loss = self.loss(batch)
        self._losses.append(float(loss.detach()))
        return loss

    def on_fit_start(self) -> None:
        """Judge the untrained model: a blend of counts is the first to beat."""
        if not self.curve:
            self._look(float("nan"))
            self._consider()

    def on_train_epoch_end(self) -> None:
        """A point of the curve."""
        self._look(sum(self._losses) / max(len(self._losses), 1))
        self._losses.clear()

    def on_train_end(self) -> None:
        """Keep what this fit came to, if it is better than what there was."""
        self._consider()
        if self.shared is not None and self.trainer.is_global_zero:
            save_file({name: value.contiguous() for name, value in self._best.items()}, self.shared / _BEST)
            (self.shared / _CURVE).write_text(json.dumps({"curve": self.curve, "best_epoch": self.best_epoch}))

    def restore_best(self) -> None:
        """Put the best weights back; those of another process come from the shared folder."""
        if self.shared is not None:
            self._best = load_file(self.shared / _BEST)
            kept = json.loads((self.shared / _CURVE).read_text())
            self.curve, self.best_epoch = kept["curve"], kept["best_epoch"]
        self.weigher.load_state_dict(self._best)
        self.weigher.eval()

    def _look(self, loss: float) -> None:
        self.weigher.eval()
        on_cpu = self.weigher if self.device.type == "cpu" else copy.deepcopy(self.weigher).cpu()
        figure = self.judge(on_cpu)
        self.weigher.train()
        self.curve.append({"epoch": float(len(self.curve)), "loss": loss, "validation_ndcg_10": figure})

    def _consider(self) -> None:
        if not self._best or self.curve[-1]["validation_ndcg_10"] > self.curve[self.best_epoch]["validation_ndcg_10"]:
            self.best_epoch = len(self.curve) - 1
            self._best = {name: value.detach().cpu().clone() for name, value in self.weigher.state_dict().items()}

    def configure_optimizers(self) -> Any:
        """AdamW and one cycle, for what is trained now: the global weights, or the encoder (and these, slowly)."""
        slow = self.weigher.global_parameters()
        known = {id(parameter) for parameter in slow}
        rest = [parameter for parameter in self.weigher.parameters() if id(parameter) not in known]
        config = self.config
        if not self.weigher.has_encoder:
            rates, epochs = [config.mixture_lr], config.mixture_epochs
            groups = [{"params": slow, "weight_decay": 0.0}]
        else:
            rates, epochs = [config.attention_lr, config.attention_lr], config.attention_epochs
            groups = [
                {"params": slow, "weight_decay": 0.0},
                {"params": rest, "weight_decay": config.weight_decay},
            ]
        optimizer = torch.optim.AdamW(groups, lr=rates[0])
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rates, total_steps=epochs * self.batches, pct_start=0.15
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Batches(IterableDataset[Batch]):
    """Whole slices, because collating row by row is slower than the training itself.

    Where several processes train, each gets its share of one common order, all of the same size.
    """

    def __init__(self, tensors: Batch, size: int, generator: torch.Generator) -> None:
        self.tensors = tensors
        self.size = size
        self.generator = generator

    def __len__(self) -> int:
        rows = len(self.tensors["items"])
        if distributed.is_available() and distributed.is_initialized():
            rows //= distributed.get_world_size()
        return (rows + self.size - 1) // self.size

    def __iter__(self) -> Iterator[Batch]:
        order = torch.randperm(len(self.tensors["items"]), generator=self.generator)
        if distributed.is_available() and distributed.is_initialized():
            processes = distributed.get_world_size()
            order = order[: len(order) - len(order) % processes][distributed.get_rank() :: processes]
        for part in torch.split(order, self.size):
            yield {name: tensor[part] for name, tensor in self.tensors.items()}


class ExamplesModule(pl.LightningDataModule):
    """Serves training examples in shuffled batches."""

    def __init__(self, examples: Examples, batch_size: int, seed: int) -> None:
        super().__init__()
        tensors = {f.name: torch.from_numpy(getattr(examples, f.name)) for f in fields(Examples)}
        self.batches = _Batches(tensors, batch_size, torch.Generator().manual_seed(seed))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of one epoch."""
        return DataLoader(self.batches, batch_size=None)
