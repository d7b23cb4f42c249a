"""The training loop: steps, the running average of the weights, validation, checkpoints, several processes.

Belongs here: what happens in which order. Does not belong here: what is in a step (batches), the network, what the model is
fitted to and handed out as (model), devices and processes (devices).

The same seed, data, configuration, device and threads give the same weights, whether or not the training was killed in
between: what is drawn in a step depends on (seed, epoch, step) alone, and the rest is in the checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from training.evaluation import evaluate
from training.sequence import checkpoint
from training.sequence.batches import Feeder, plan
from training.sequence.checkpoint import Progress
from training.sequence.devices import Place
from training.sequence.scorer import SequenceScorer
from training.sequence.work import Work

if TYPE_CHECKING:
    from torch import Tensor

    from training.sequence.net import SequenceNet

WARMUP_STEPS = 100
BETAS = (0.9, 0.98)
MIX = 1_000_003
PLANNED_AFTER = 2
"""The epoch whose time says how many fit."""
LOOK_EVERY = 20
"""Steps between looks at the clock, where several processes have to agree on it."""


def epochs_that_fit(progress: Progress, budget_s: float) -> int:
    """How many epochs to plan for, after one has ended.

    The first epoch warms up (compiling, caches, other work that starts beside it), so it decides only where the time is short by
    half or more; the second decides the rest. Later ones do not: the rate follows the plan.
    """
    took = max(progress.seconds - progress.ended_s, 1e-9)
    fits = progress.epoch + int(min(max(budget_s - progress.seconds, 0.0) / took, 1e9))
    is_clear = progress.epoch == PLANNED_AFTER or (progress.epoch == 1 and 2 * fits <= progress.epochs)
    return min(fits, progress.epochs) if is_clear else progress.epochs


class Training:
    """One training, on one place of it."""

    def __init__(self, work: Work, place: Place, tell: Callable[[str], None]) -> None:
        import torch

        self.work, self.config, self.place, self.tell = work, work.config, place, tell
        torch.manual_seed(work.seed)
        self.net: SequenceNet = work.config.build(work.size).to(place.device)
        if work.first is not None:
            self.net.titles.weight.data.copy_(torch.from_numpy(work.first))
        self.feeder = Feeder(work.packed, place.device, length=work.config.length, has_time=work.config.has_time)
        self.popularity = torch.from_numpy(work.packed.popularity(work.size)).to(place.device)
        self.parameters = dict(self.net.named_parameters())
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=work.config.lr, betas=BETAS, weight_decay=work.config.weight_decay, fused=True
        )
        self.average = {name: value.detach().clone() for name, value in self.parameters.items()}
        self.best: dict[str, Tensor] = {}
        self.progress = Progress(epochs=work.config.epochs)
        self._restore()
        known = self.progress.loss if place.rank == 0 else 0.0
        self.losses = torch.tensor(known, dtype=torch.float64, device=place.device)

    def run(self) -> Progress:
        """Train to the end; afterwards the network holds the weights that were kept."""
        began = saved = time.monotonic()
        spent = self.progress.seconds
        while not self.progress.is_done:
            steps = self._plan()
            while self.progress.step < len(steps) and not self.progress.is_done:
                self._step(steps)
                if self.place.processes > 1 and self.progress.step % LOOK_EVERY:
                    continue
                self.progress.seconds = spent + time.monotonic() - began
                self._mind_the_budget(within_epoch=True)
                if time.monotonic() - saved > self.work.save_every_s:
                    self._save()
                    saved = time.monotonic()
            self._end_epoch()
            self.progress.seconds = spent + time.monotonic() - began
            self._mind_the_budget(within_epoch=False)
        self._save()
        self._load(self.best or self._kept())
        self.net.eval()
        return self.progress

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with a trained network's weights instead of random ones."""
        self._load(weights)
        self.average = {name: value.detach().clone() for name, value in self.parameters.items()}

    def _plan(self) -> list[Any]:
        config = self.config
        return plan(
            self.work.packed,
            length=config.length,
            batch_tokens=config.batch_tokens,
            seed=self.work.seed,
            epoch=self.progress.epoch,
        )

    def _step(self, steps: list[Any]) -> None:
        import torch

        progress, config = self.progress, self.config
        number = progress.step
        drawn = (self.work.seed * MIX + progress.epoch) * MIX + number * self.place.processes + self.place.rank
        torch.manual_seed(drawn % 2**63)
        rate = self._rate(number, len(steps))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.net.train()
        self.optimizer.zero_grad(set_to_none=False)
        events = int(steps[number][1].sum())
        loss = self._loss(steps[number])
        if loss is not None:
            (loss / events).backward()  # type: ignore[no-untyped-call]
        self.place.add_gradients(self.parameters.values())
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), config.clip)
        self.optimizer.step()
        if config.average:
            # The average begins short, so that it does not drag the first weights along.
            done = self._steps_done(len(steps))
            torch._foreach_lerp_(
                list(self.average.values()),
                [value.detach() for value in self.parameters.values()],
                1.0 - min(config.average, (1.0 + done) / (10.0 + done)),
            )
        if loss is not None:
            self.losses += loss.detach()
        progress.events += events
        progress.trained_events += events
        progress.step += 1

    def _loss(self, step: Any) -> Tensor | None:
        from training.sequence.net_losses import places_among, sampled, seen_before

        config = self.config
        batch = self.feeder.batch(step, share=self.place.rank, of=self.place.processes)
        if not len(batch.items):
            return None
        with self.place.precision():
            hidden = self.net(batch.items, batch.times)
        targets, table, shift = batch.targets.reshape(-1), self.net.table(), None
        seen = seen_before(batch.items).flatten(0, 1) if config.is_unseen_only else None
        if not config.is_full(self.work.size - 1):
            candidates, targets, shift = sampled(targets, self.popularity, config.negatives, self.work.size)
            table = table[candidates]
            seen = None if seen is None else places_among(candidates, seen)
        return self.net.head.loss(
            hidden.reshape(len(targets), -1).to(table.dtype),
            table,
            targets,
            logits_mb=config.logits_mb * self.place.room,
            shift=shift,
            seen=seen,
            is_half=self.place.is_half,
        )

    def _rate(self, number: int, steps: int) -> float:
        """Linear at first, then half a cosine over all epochs."""
        done = (self.progress.epoch + number / steps) / self.progress.epochs
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
        share = self.config.last_lr + (1.0 - self.config.last_lr) * cosine
        return self.config.lr * share * min(1.0, (self._steps_done(steps) + 1) / WARMUP_STEPS)

    def _steps_done(self, steps: int) -> int:
        return self.progress.epoch * steps + self.progress.step

    def _end_epoch(self) -> None:
        progress = self.progress
        progress.epoch, progress.step = progress.epoch + 1, 0
        is_last = progress.epoch >= progress.epochs or progress.is_done
        loss = self.place.sum(float(self.losses)) / max(progress.events, 1)
        self.losses.zero_()
        progress.events = 0
        if self.work.validation is None or not (is_last or progress.epoch % self.config.validate_every == 0):
            progress.is_done = is_last
            return
        figure = self._judged()
        progress.curve.append(
            {"epoch": float(progress.epoch), "loss": loss, "validation_ndcg_10": figure, "seconds": progress.seconds}
        )
        if progress.best < 0 or figure > progress.curve[progress.best]["validation_ndcg_10"]:
            progress.best = len(progress.curve) - 1
            self.best = {name: value.clone() for name, value in self._kept().items()}
        has_patience = len(progress.curve) - 1 - progress.best < self.config.patience
        progress.is_done = is_last or not has_patience
        self.tell(
            f"epoch {progress.epoch} of {progress.epochs}: loss {loss:.4f}, validation NDCG@10 {figure:.4f}, "
            f"{progress.seconds:.0f} s"
        )

    def _judged(self) -> float:
        """NDCG@10 of the averaged weights; of several processes the first one looks and tells the others."""
        found = 0.0
        if self.place.rank == 0 and self.work.validation is not None:
            own = {name: value.detach().clone() for name, value in self.parameters.items()}
            self._load(self._kept())
            self.net.eval()
            outcome = evaluate(SequenceScorer(self.net, self.work.size), self.work.validation, self.work.size)
            found = float(outcome.ndcg_10.mean())
            self._load(own)
        return self.place.from_first(found)

    def _mind_the_budget(self, *, within_epoch: bool) -> None:
        """Plan fewer epochs where no more will fit; end at once when the time is up."""
        progress = self.progress
        if self.place.agree(progress.seconds >= self.work.budget_s):
            progress.is_time_limited = progress.is_time_limited or progress.epoch < progress.epochs
            progress.is_done = True
        elif not within_epoch:
            fits = int(self.place.from_first(float(epochs_that_fit(progress, self.work.budget_s))))
            progress.ended_s = progress.seconds
            if fits < progress.epochs:
                progress.epochs, progress.is_time_limited = fits, True
                progress.is_done = progress.epoch >= fits

    def _kept(self) -> dict[str, Tensor]:
        return self.average if self.config.average else {n: v.detach() for n, v in self.parameters.items()}

    def _load(self, values: Mapping[str, Tensor]) -> None:
        import torch

        with torch.no_grad():
            for name, value in values.items():
                self.parameters[name].copy_(value)

    def _save(self) -> None:
        if self.work.folder is None or self.place.rank:
            return
        self.progress.loss = float(self.losses)
        tensors: dict[str, Tensor] = {f"net.{name}": value for name, value in self.parameters.items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        checkpoint.write(self.work.folder, self.work.identity, self.progress, tensors)

    def _restore(self) -> None:
        found = None if self.work.folder is None else checkpoint.read(self.work.folder, self.work.identity)
        if found is None:
            return
        self.progress, tensors = found
        groups: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            groups.setdefault(kind, {})[rest] = value.to(self.place.device)
        self._load(groups["net"])
        self.average = {name: groups["average"][name] for name in self.parameters}
        self.best = groups.get("best", {})
        for name, value in groups.get("optimizer", {}).items():
            key, _, parameter = name.partition(".")
            self.optimizer.state[self.parameters[parameter]][key] = value
        self.tell(f"going on from the checkpoint: epoch {self.progress.epoch + 1}, step {self.progress.step}")
