"""How well reasons at request time agree with leaving each watched title out: attention knockout against leave-one-out.

Run it anywhere; nothing needs to be up::

    .venv/bin/python -m benchmarks.reasons --data PATH [--recipe sequence-small] [--protocol leave-one-out] [--seed 1] [--keep DIR]
        [--viewers 200] [--json FILE]

The network is trained as in benchmarks/encode.py (a finished training in DIR is taken up). For the ten best unseen titles of each
test viewer, all watched titles in sight are ordered by what they contribute, once by knockout (training.sequence.net_reasons: one
more pass in all) and once by ``SequenceScorer.moved`` (a pass for each). ``spearman`` is the rank correlation, ``first`` the share
of recommendations for which both name the same title first, ``first_of_three`` that the knockout's first is among the three greatest of
leave-one-out, ``three`` the share that the three greatest have in common: means over all viewers with four titles or more, times ten.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import process_time

import numpy as np
from scipy.stats import spearmanr

from benchmarks.encode import best, trained
from training import protocols
from training.dataset import History
from training.files import reading
from training.recipes import registry
from training.sequence.model import SequenceModel
from training.sequence.scorer import SequenceScorer, aligned

FEWEST = 4


def knockout(scorer: SequenceScorer, history: History, titles: np.ndarray) -> np.ndarray:
    """``[newest L of the history, len(titles)]``."""
    import torch

    from training.sequence.net_reasons import newest_and_without

    net = scorer.net

    items, times = aligned([history], scorer.history_length, scorer.size, None)
    with torch.inference_mode():
        viewer, without = newest_and_without(net, torch.from_numpy(items), torch.from_numpy(times))
        asked = torch.arange(len(titles))[None]
        lost = net.head.lost(viewer, without, net.head.prepared(net.table()[torch.from_numpy(titles)]), asked)
    return np.asarray(lost[0].numpy()[items[0] > 0])


def compared(one: np.ndarray, other: np.ndarray) -> list[tuple[float, ...]]:
    rows = []
    for left, right in zip(one.T, other.T, strict=True):
        greatest = np.argsort(-left)[:3], np.argsort(-right)[:3]
        rows.append(
            (
                float(spearmanr(left, right).statistic),
                float(greatest[0][0] == greatest[1][0]),
                float(greatest[0][0] in greatest[1]),
                len(np.intersect1d(*greatest)) / 3,
            )
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="sequence-small")
    parser.add_argument("--protocol", default="leave-one-out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder of the training's checkpoint")
    parser.add_argument("--threads", type=int, default=1, help="of the training")
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    build = registry.named(given.recipe).build
    model = build() if build else None
    if not isinstance(model, SequenceModel):
        parser.exit(2, f"{given.recipe} is no sequence recipe\n")
    model.threads = given.threads
    data = reading.load_path(given.data).dataset
    task = protocols.task(given.protocol, data)
    scorer = trained(model, task, data, given.seed, given.keep)
    chosen = np.random.default_rng(0).permutation(len(task.test))
    rows: list[tuple[float, ...]] = []
    viewers, spent = 0, [0.0, 0.0]
    for place in chosen:
        history = task.test.histories[place]
        if len(history) < FEWEST or viewers == given.viewers:
            continue
        viewers += 1
        top = best(scorer.scores([history], task.test.contexts[place : place + 1])[0], history.items)
        began = process_time()
        quick = knockout(scorer, history, top)
        between = process_time()
        rows += compared(quick, scorer.moved(history, top))
        spent[0] += between - began
        spent[1] += process_time() - between
    figures = np.nanmean(np.array(rows), axis=0)
    names = ("spearman", "first", "first_of_three", "three")
    found = {
        "recipe": given.recipe,
        "data": data.data_hash,
        "protocol": task.words,
        "seed": given.seed,
        "viewers": viewers,
        **{name: round(float(value), 4) for name, value in zip(names, figures, strict=True)},
        "knockout_cpu_ms": round(spent[0] / max(viewers, 1) * 1e3, 2),
        "leave_one_out_cpu_ms": round(spent[1] / max(viewers, 1) * 1e3, 2),
    }
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
