"""A small library of films and ratings in the MovieLens layout, the same on every machine.

Belongs here: generated data. Does not belong here: platforms (platform.py).
"""

from __future__ import annotations

import random
from pathlib import Path

FILMS, VIEWERS, RATINGS_EACH = 220, 120, 32
_GENRES = ("Action", "Comedy", "Drama", "Thriller", "Romance", "Children")


def write_movielens(folder: Path, *, seed: int = 7, viewers: int = VIEWERS) -> Path:
    """A folder with ``movies.csv`` and ``ratings.csv``: viewers who walk along a pattern that a model can learn."""
    chance = random.Random(seed)  # noqa: S311 data, no secret
    folder.mkdir(parents=True, exist_ok=True)
    films = [
        f"{number},Film {number} ({1970 + number % 50}),{'|'.join(chance.sample(_GENRES, 2))}"
        for number in range(1, FILMS + 1)
    ]
    lines: list[str] = []
    for viewer in range(1, viewers + 1):
        at, moment = chance.randrange(FILMS), 1_000_000_000 + viewer * 86_400
        seen: set[int] = set()
        while len(seen) < RATINGS_EACH:
            at = (at * 3 + 7) % FILMS if chance.random() < 0.7 else int(FILMS * chance.random() ** 2)
            if at in seen:
                at = chance.randrange(FILMS)
                continue
            seen.add(at)
            moment += 3_600
            lines.append(f"{viewer},{at + 1},{chance.choice([2.5, 3.0, 3.5, 4.0, 4.5, 5.0])},{moment}")
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n")
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    return folder
