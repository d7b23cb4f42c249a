"""The sweep as an asset: its configuration reaches the sweep, and what came of it stands beside the asset."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from assets.models import sweep as assets
from assets.resources import with_settings
from nexus.settings import Settings
from training.sweep import Done, Sweep

pytestmark = pytest.mark.unit


def test_sweep__with_a_configuration__shows_the_table_and_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def swept(settings: Settings, loaded: object, wanted: Any, **words: Any) -> Sweep:
        asked.update(settings=settings, loaded=loaded, wanted=wanted, **words)
        figures = dict.fromkeys(("validation_ndcg_10", "ndcg_10", "hr_10", "best_floor_ndcg_10", "seconds"), 0.25)
        return Sweep((Done("small width=2", 4, figures, is_new=True),), 3, "3 left", "a protocol")

    monkeypatch.setattr(assets.sweep, "sweep", swept)
    monkeypatch.setattr(assets.reading, "load_table", lambda *_: SimpleNamespace())
    values = {"recipes": ["small"], "seeds": [4], "overrides": [{"width": 2}], "budget_minutes": 0.5}
    result = dg.materialize(
        [assets.model_recommender__sweep],
        resources={"platform": with_settings(Settings(home=tmp_path))},
        run_config={"ops": {"model_recommender__sweep": {"config": values}}},
    )
    assert result.success
    assert (asked["wanted"].budget_s, asked["wanted"].overrides) == (30.0, [{"width": 2}])
    assert asked["folder"] == tmp_path / "sweeps"
    (event,) = result.asset_materializations_for_node("model_recommender__sweep")
    facts = {name: value.value for name, value in event.metadata.items()}
    assert "| small width=2 | 1 | 0.2500 |" in str(facts["table"])
    assert (facts["runs_left"], facts["outcome"]) == (3, "3 left")
