"""The protocols that hold out more than each viewer's last title: instants, viewers, titles.

Belongs here: how each makes its task. Does not belong here: their names and leave-one-out (training.protocols).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nexus.events import RATING_MAX
from training.dataset import Dataset, History, Split
from training.metrics import Sets
from training.tasks import SEED, SHARE, Task, asked, instant, met_before, needs_times, only, some, too_little, words

LIKED_ABOVE = 3.5
LIKED_AT_LEAST = 5
INPUT_SHARE = 0.8


def global_time(dataset: Dataset) -> Task:
    """One instant divides the data, so nothing is learned from anybody's future; each viewer's last title after it is asked for.

    What a viewer met until the request is known then, as it is when a model is served between two trainings.

    Raises:
        NexusError: ``invalid`` without times, ``conflict`` when nobody came after the instant.
    """
    needs_times(dataset, "global-time")
    every = np.concatenate([history.at_s for history in dataset.histories])
    early, late = (float(np.quantile(every, 1 - share, method="higher")) for share in (2 * SHARE, SHARE))
    whole = [
        (viewer, history, len(history)) for viewer, history in zip(dataset.viewers, dataset.histories, strict=True)
    ]
    before = [(viewer, history, met_before(history, late)) for viewer, history, _ in whole]
    validation, _ = _last_after(before, early, "validation")
    test, viewers = _last_after(whole, late, "test")
    held_out = (
        f"global time: learned from what came before {instant(late)} ({SHARE:.0%} of all events came later), test = the last "
        f"title of each viewer who came after it, what the viewer met until then is known when asked; choices likewise with "
        f"{instant(early)}"
    )
    return Task(
        "global-time",
        words(dataset, held_out, viewers=len(viewers), time="given"),
        learn=some(history.until(met_before(history, early)) for history in dataset.histories),
        validation=validation,
        relearn=some(history.until(met_before(history, late)) for history in dataset.histories),
        test=test,
        viewers=viewers,
    )


def _last_after(found: list[tuple[str, History, int]], after_s: float, name: str) -> tuple[Split, tuple[str, ...]]:
    """The last title of each history (of which the first so many count) that was met at or after an instant."""
    rows = [
        (viewer, history, end - 1) for viewer, history, end in found if end > 1 and history.at_s[end - 1] >= after_s
    ]
    return asked(rows, name, is_time_given=True), tuple(viewer for viewer, _, _ in rows)


def strong_generalisation(dataset: Dataset) -> Task:
    """Viewers of whom nothing is learned: their last title, and a fifth of their titles from the rest (Liang et al. 2018).

    Raises:
        NexusError: ``conflict`` with fewer than three viewers.
    """
    liked = [(viewer, _liked(history)) for viewer, history in zip(dataset.viewers, dataset.histories, strict=True)]
    kept = [(viewer, history) for viewer, history in liked if len(history) >= LIKED_AT_LEAST]
    count = max(1, round(SHARE * len(kept)))
    if len(kept) <= 2 * count:
        raise too_little("strong-generalisation", f"{len(kept)} viewers with {LIKED_AT_LEAST} titles", "3 such viewers")
    order = np.random.default_rng(SEED).permutation(len(kept))
    validated, tested = ([kept[i] for i in sorted(part)] for part in (order[count : 2 * count], order[:count]))
    learn = tuple(kept[i][1] for i in sorted(order[2 * count :]))
    known = np.zeros(dataset.size, dtype=np.bool_)
    known[np.concatenate([history.items for history in learn])] = True
    held_out = (
        f"strong generalisation: nothing is learned of {count} viewers drawn with seed {SEED} (and {count} more, for choices), "
        f"test = their last title; recall@k and ndcg@100 of sets: {INPUT_SHARE:.0%} of their titles, drawn, are shown and the "
        f"rest is to be found among the {int(known.sum())} titles learned from; titles rated over {LIKED_ABOVE} (or without a rating) only, viewers "
        f"with {LIKED_AT_LEAST} of them"
    )
    return Task(
        "strong-generalisation",
        words(dataset, held_out, viewers=count),
        learn=learn,
        validation=asked([(viewer, history, len(history) - 1) for viewer, history in validated], "validation"),
        relearn=learn,
        test=asked([(viewer, history, len(history) - 1) for viewer, history in tested], "test"),
        viewers=tuple(viewer for viewer, _ in tested),
        sets=_sets([history for _, history in tested], known),
    )


def _liked(history: History) -> History:
    """Titles rated over 3.5; a title without any value counts as liked."""
    return only(history, (history.values == 0) | (history.values * RATING_MAX > LIKED_ABOVE + 1e-4))


def _sets(histories: list[History], known: npt.NDArray[np.bool_]) -> Sets:
    random = np.random.default_rng(SEED)
    shown, targets = [], []
    for history in histories:
        usable = only(history, known[history.items])
        is_target = np.zeros(len(usable), dtype=np.bool_)
        is_target[random.choice(len(usable), int((1 - INPUT_SHARE) * len(usable) + 1e-9), replace=False)] = True
        if is_target.any():
            shown.append(only(usable, ~is_target))
            targets.append(usable.items[is_target])
    contexts = [h.context[-1] for h in shown]
    return Sets(tuple(shown), tuple(targets), np.stack(contexts) if contexts else np.zeros((0, 0), np.float32), known)


def held_out_titles(dataset: Dataset) -> Task:
    """Titles that are in nothing that is learned from: only what is known about them can rank them.

    Raises:
        NexusError: ``conflict`` with fewer than three titles.
    """
    met = np.unique(np.concatenate([history.items for history in dataset.histories]))
    count = max(1, round(SHARE * len(met)))
    if len(met) <= 2 * count:
        raise too_little("held-out-titles", f"{len(met)} titles", "3 titles that somebody met")
    drawn = np.random.default_rng(SEED).permutation(met)
    unseen, chosen_on = (np.zeros(dataset.size, dtype=np.bool_) for _ in range(2))
    unseen[drawn[:count]], chosen_on[drawn[count : 2 * count]] = True, True
    ends = [_last_of(history, unseen) for history in dataset.histories]
    early = [_last_of(history.until(end), chosen_on) for history, end in zip(dataset.histories, ends, strict=True)]
    test, viewers = _titles_asked(dataset, ends, unseen, unseen, "test")
    validation, _ = _titles_asked(dataset, early, chosen_on, unseen | chosen_on, "validation")
    held_out = (
        f"held-out titles: {count} titles drawn with seed {SEED} are in nothing that is learned from (and {count} more for "
        f"choices), test = the last of them that each viewer met, with what came before it; unseen_* rank these {count} titles "
        f"among themselves; popularity cannot tell them apart, chance would give hr@10 {min(1.0, 10 / count):.4f} there"
    )
    return Task(
        "held-out-titles",
        words(dataset, held_out, viewers=len(viewers)),
        learn=some(
            only(h.until(end), ~(unseen | chosen_on)[h.items[:end]])
            for h, end in zip(dataset.histories, early, strict=True)
        ),
        validation=validation,
        relearn=some(
            only(h.until(end), ~unseen[h.items[:end]]) for h, end in zip(dataset.histories, ends, strict=True)
        ),
        test=test,
        viewers=viewers,
        unseen=unseen,
    )


def _last_of(history: History, wanted: npt.NDArray[np.bool_]) -> int:
    """Where the last wanted title stands; the whole length when there is none."""
    found = np.flatnonzero(wanted[history.items])
    return int(found[-1]) if len(found) else len(history)


def _titles_asked(
    dataset: Dataset, ends: list[int], wanted: npt.NDArray[np.bool_], hidden: npt.NDArray[np.bool_], name: str
) -> tuple[Split, tuple[str, ...]]:
    """Rows whose history has the hidden titles taken out; ``ends`` is where each viewer's target stands."""
    rows = []
    for viewer, history, end in zip(dataset.viewers, dataset.histories, ends, strict=True):
        if end < len(history) and wanted[history.items[end]]:
            keep = ~hidden[history.items]
            keep[end:] = False
            keep[end] = True
            left = only(history, keep)
            if len(left) > 1:
                rows.append((viewer, left, len(left) - 1))
    return asked(rows, name), tuple(viewer for viewer, _, _ in rows)
