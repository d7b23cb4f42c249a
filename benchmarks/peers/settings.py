"""Settings of the peers, as published by their authors, and the few that are chosen on validation titles.

Belongs here: values and where they come from. Does not belong here: code that uses them.

``rectools-*``: the ML-1M column of the table of the eSASRec benchmark (its README: width 64, 2 blocks, 1 head, dropout 0.1, 200 titles,
256 negatives, learning rate 0.001) and the configuration of RecTools' HSTU tutorial (width 50, 2 blocks, 1 head, dropout 0.2,
200 titles, 128 negatives, logits over 0.05), batch of 128 viewers; ``softmax`` is RecTools' own default loss. Epochs end by
patience or with the budget, and the epoch that ranks the validation titles best is kept, as in these tutorials (which look at recall).
Scaled to a CPU: below 2,000 viewers a batch is smaller, so that an epoch has 20 steps at least, and the newest 100 titles are taken.
"""

from __future__ import annotations

from typing import Any

_TRANSFORMER: dict[str, Any] = {
    "n_factors": 64,
    "n_blocks": 2,
    "n_heads": 1,
    "dropout_rate": 0.1,
    "session_max_len": 200,
    "lr": 0.001,
    "batch_size": 128,
    "epochs": 100,
}
RECTOOLS: dict[str, dict[str, Any]] = {
    "rectools-sasrec": _TRANSFORMER | {"loss": "softmax"},
    "rectools-esasrec": _TRANSFORMER | {"layers": "ligr", "loss": "sampled_softmax", "n_negatives": 256},
    "rectools-hstu": _TRANSFORMER
    | {"n_factors": 50, "dropout_rate": 0.2, "loss": "sampled_softmax", "n_negatives": 128, "logits_t": 0.05},
}
IMPLICIT: dict[str, list[dict[str, Any]]] = {
    "implicit-als": [
        {"factors": factors, "regularization": regularization, "alpha": alpha, "iterations": 15}
        for factors in (32, 64, 128)
        for regularization, alpha in ((0.01, 1.0), (0.1, 1.0), (0.1, 10.0), (1.0, 10.0))
    ],
    "implicit-bpr": [
        {"factors": factors, "learning_rate": rate, "regularization": 0.01, "iterations": 100}
        for factors in (32, 128)
        for rate in (0.01, 0.05)
    ],
}
FEW_VIEWERS, SHORT, FEWEST_STEPS = 2_000, 100, 20
PATIENCE = 10
"""Epochs without a better one on the validation titles."""


def rectools(name: str, viewers: int) -> dict[str, Any]:
    """The settings of a transformer for so many viewers."""
    found = dict(RECTOOLS[name])
    if viewers < FEW_VIEWERS:
        found |= {"session_max_len": SHORT, "batch_size": max(8, min(found["batch_size"], viewers // FEWEST_STEPS))}
    return found
