"""The Lightning side: loss, optimiser, batches, and keeping the weights that ranked the validation titles best.

Belongs here: LightningModule, data module. Does not belong here: the network (mixture), what is fed (training.examples).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from training.config import RecommenderConfig
from training.examples import Examples
from training.models.mixture import AttentionWeigher

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
        batches: Batches of an epoch, for the schedule.
    """

    def __init__(self, weigher: AttentionWeigher, config: RecommenderConfig, judge: Judge, batches: int) -> None:
        super().__init__()
        self.weigher = weigher
        self.config = config
        self.batches = batches
        self.judge = judge
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

    def restore_best(self) -> None:
        """Put the best weights back."""
        self.weigher.load_state_dict(self._best)
        self.weigher.eval()

    def _look(self, loss: float) -> None:
        self.weigher.eval()
        figure = self.judge(self.weigher)
        self.weigher.train()
        self.curve.append({"epoch": float(len(self.curve)), "loss": loss, "validation_ndcg_10": figure})

    def _consider(self) -> None:
        if not self._best or self.curve[-1]["validation_ndcg_10"] > self.curve[self.best_epoch]["validation_ndcg_10"]:
            self.best_epoch = len(self.curve) - 1
            self._best = {name: value.detach().clone() for name, value in self.weigher.state_dict().items()}

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
    """Whole slices, because collating row by row is slower than the training itself."""

    def __init__(self, tensors: Batch, size: int, generator: torch.Generator) -> None:
        self.tensors = tensors
        self.size = size
        self.generator = generator

    def __len__(self) -> int:
        return (len(self.tensors["items"]) + self.size - 1) // self.size

    def __iter__(self) -> Iterator[Batch]:
        order = torch.randperm(len(self.tensors["items"]), generator=self.generator)
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
