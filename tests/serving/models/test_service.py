"""Reading the registry's REST API."""

from __future__ import annotations

import httpx
import pytest

from nexus.settings import MlflowSettings, Settings
from serving.models import service

pytestmark = pytest.mark.unit


def registry(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("runs/get"):
        figures = {
            "ndcg_at_10": 0.1,
            "popularity.ndcg_at_10": 0.05,
            "popularity.other": 9.0,
            "attention.ndcg_at_10": 0.1,
        }
        metrics = [{"key": key, "value": value} for key, value in figures.items()]
        return httpx.Response(200, json={"run": {"data": {"metrics": metrics}}})
    if request.url.path.endswith("registered-models/get"):
        return httpx.Response(200, json={"registered_model": {"aliases": [{"alias": "champion", "version": "2"}]}})
    tags = [{"key": "metrics", "value": '{"ndcg_at_10": 0.1}'}, {"key": "data_hash", "value": "abc"}]
    versions = [
        {"version": "2", "creation_timestamp": 1_700_000_000_000, "tags": tags, "run_id": "r2"},
        {"version": "10", "creation_timestamp": 1_700_000_000_001},
    ]
    return httpx.Response(200, json={"model_versions": versions})


@pytest.fixture
def models(monkeypatch, tmp_path) -> service.Models:
    plain = httpx.AsyncClient
    monkeypatch.setattr(
        service.httpx, "AsyncClient", lambda **words: plain(**words, transport=httpx.MockTransport(registry))
    )
    settings = Settings(home=tmp_path, mlflow=MlflowSettings(url="http://mlflow"))
    return service.Models(settings, lambda: None)


async def test_listed__registry_up__newest_first_with_aliases_and_figures(models) -> None:
    answer = await models.listed()
    assert [one["version"] for one in answer["models"]] == ["10", "2"]
    assert answer["models"][1]["aliases"] == ["champion"]
    assert answer["models"][1]["metrics"] == {"ndcg_at_10": 0.1}
    assert answer["models"][1]["data_hash"] == "abc"
    assert [one["floors"] for one in answer["models"]] == [{}, {"popularity": {"ndcg_at_10": 0.05}}]
    assert (answer["current"], answer["registry"]) == (None, "up")
