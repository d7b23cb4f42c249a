"""The three model assets over a small lake and a real registry, without Temporal: promotion is refused, nothing is lost."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from assets.models import recommender
from assets.resources import with_settings
from nexus.errors import NexusError
from nexus.lake.catalogue import declared
from nexus.lake.lake import Lake
from nexus.settings import MlflowSettings, Settings
from training import registry
from training.bundle_format import read_pointer

pytestmark = pytest.mark.integration

TITLES, VIEWERS, STEPS = 40, 40, 12
CHAIN = (
    recommender.model_recommender__candidate,
    recommender.model_recommender__evaluation,
    recommender.model_recommender__champion,
)


def title_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def examples(count: int = TITLES) -> pa.Table:
    schema = declared("training_nexus__examples").schema
    random, start = np.random.default_rng(5), datetime(2020, 1, 1, tzinfo=UTC)
    rows = []
    for viewer in range(VIEWERS):
        first = int(random.integers(0, count))
        for step in range(STEPS):
            row = dict.fromkeys(schema.names)
            row |= {
                "event_id": f"e:{viewer}:{step}",
                "user_id": str(uuid.UUID(int=10_000 + viewer)),
                "content_id": title_id((first + step) % count),
                "interaction_type": "rate",
                "value": 4.0,
                "occurred_at": start + timedelta(hours=step),
                "position": step + 1,
                "history_length": STEPS,
                "split": {STEPS - 1: "test", STEPS - 2: "validation"}.get(step, "train"),
                "viewer_activity": step / STEPS,
            }
            rows.append(row)
    return pa.Table.from_pylist(rows, schema=schema)


def titles(count: int = TITLES) -> pa.Table:
    schema = declared("core_nexus__titles").schema
    rows = [
        dict.fromkeys(schema.names)
        | {
            "content_id": title_id(number),
            "title": f"Title {number}",
            "content_type": "movie",
            "year": 1990,
            "genres": ["Drama"],
            "external_ids": [],
            "source": "movielens",
            "updated_at": datetime(2020, 1, 1, tzinfo=UTC),
        }
        for number in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=schema)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    import mlflow

    home: Path = tmp_path_factory.mktemp("home")
    url = f"sqlite:///{home}/mlflow.db"
    mlflow.MlflowClient(url, registry_uri=url).create_experiment("nexus", artifact_location=(home / "runs").as_uri())
    settings = Settings(home=home, mlflow=MlflowSettings(url=url))
    lake = Lake.from_settings(settings)
    lake.write("training_nexus__examples", examples(), mode="overwrite")
    lake.write("core_nexus__titles", titles(), mode="overwrite")
    yield settings
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def run(settings: Settings, *assets: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [*CHAIN], selection=list(assets), resources={"platform": with_settings(settings)}, raise_on_error=False
    )


def facts(result: dg.ExecuteInProcessResult, asset: dg.AssetsDefinition) -> dict[str, object]:
    (event,) = result.asset_materializations_for_node(asset.key.to_user_string())
    return {name: value.value for name, value in event.metadata.items()}


def test_chain__temporal_away__registers_and_judges_but_promotes_nothing(platform: Settings) -> None:
    first = run(platform, *CHAIN)
    candidate = facts(first, CHAIN[0])
    assert candidate["is_skipped"] is False
    assert candidate["dagster/row_count"] == VIEWERS * STEPS
    assert "ndcg_10" in str(candidate["table"])
    evaluation = facts(first, CHAIN[1])
    assert evaluation["champion"] == "none yet"
    assert evaluation["is_accepted"] is True
    failure = next(event for event in first.all_events if event.is_step_failure)
    assert failure.step_key == "model_recommender__champion"
    assert "temporal has no address" in str(failure.step_failure_data.error)
    assert read_pointer(platform.bundle_url) is None

    again = run(platform, CHAIN[0])
    assert facts(again, CHAIN[0])["is_skipped"] is True
    models = registry.list_models(platform)
    assert [model["aliases"] for model in models] == [["challenger"]]

    # A person promotes by hand; the next run finds the pointer and the champion in order.
    registry.promote(platform, models[0]["version"])
    settled = run(platform, *CHAIN)
    assert settled.success
    assert facts(settled, CHAIN[2])["outcome"] == "already champion"
    assert read_pointer(platform.bundle_url) == models[0]["version"]


def test_evaluation__catalogue_shrank__is_refused_with_both_numbers(platform: Settings) -> None:
    run(platform, *CHAIN[:2])
    registry.promote(platform, registry.list_models(platform)[0]["version"])
    lake = Lake.from_settings(platform)
    lake.write("training_nexus__examples", examples(TITLES // 2), mode="overwrite")
    lake.write("core_nexus__titles", titles(TITLES // 2), mode="overwrite")
    evaluation = facts(run(platform, *CHAIN[:2]), CHAIN[1])
    assert evaluation["is_accepted"] is False
    assert f"it knows {TITLES // 2} titles, the champion {TITLES}" in str(evaluation["decision"])
    (shown,) = [model for model in registry.list_models(platform) if "challenger" in model["aliases"]]
    assert f"the champion {TITLES}" in shown["gate"]


def test_start_and_wait__nobody_listens__is_unavailable(tmp_path: Path) -> None:
    from assets.adapters import temporal
    from nexus.settings import TemporalSettings

    away = Settings(home=tmp_path, temporal=TemporalSettings(address="127.0.0.1:9"))
    with pytest.raises(NexusError, match="Temporal does not answer") as caught:
        temporal.start_and_wait(away, "PromoteModel", workflow_id="promote-x-1", payload={})
    assert caught.value.retryable
