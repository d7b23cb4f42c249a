"""From the id of an answer back to model, training data and raw rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import orjson
import pyarrow as pa
import pytest
import redis
import typer
from rich.console import Console
from typer.testing import CliRunner

from nexus import events, served
from nexus.errors import Category, NexusError
from nexus.lake.catalogue import declared
from nexus.lake.drain import drain
from nexus.lake.lake import Lake
from nexus.settings import Settings
from serving import cli
from serving.why import model
from serving.why.service import explain
from serving.why.show import show
from training.bundle_format import write_pointer

pytestmark = pytest.mark.integration
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HEAT, CASINO, ALIEN = (str(UUID(int=number)) for number in (11, 12, 13))
VIEWERS = [str(UUID(int=number)) for number in range(101, 105)]
EVENT = "0190-play-1"


def rows(table: str, *given: dict[str, Any]) -> pa.Table:
    """Rows of a table; what is not given is null, or something neutral where null is not allowed."""
    neutral = {"string": "", "int64": 0, "double": 0.0, "list<element: string>": [], "date32[day]": AT.date()}
    schema = declared(table).schema

    def value(row: dict[str, Any], field: pa.Field) -> Any:
        if field.name in row or field.nullable:
            return row.get(field.name)
        return AT if pa.types.is_timestamp(field.type) else neutral.get(str(field.type), [])

    return pa.Table.from_pylist([{field.name: value(row, field) for field in schema} for row in given], schema=schema)


def write(lake: Lake, table: str, *given: dict[str, Any], inputs: dict[str, int] | None = None) -> int:
    facts = {"inputs": str(inputs)} if inputs else None
    return lake.write(table, rows(table, *given), mode="overwrite", facts=facts).version


@pytest.fixture
def settings_(tmp_path: Path, redis_server: str) -> Settings:
    own = f"{urlsplit(redis_server)._replace(path='').geturl()}/11"
    with redis.Redis.from_url(own) as client:
        client.flushdb()
    return Settings(home=tmp_path, redis={"url": own}, mlflow={"url": "http://127.0.0.1:9"})


@pytest.fixture
def lake(settings_: Settings) -> Lake:
    """Three viewers rated Heat, two of them Casino after it; our viewer rated Heat in a file and plays Alien later."""
    lake = Lake.from_settings(settings_)
    lines = [
        (VIEWERS[0], HEAT, 2),
        (VIEWERS[1], HEAT, 3),
        (VIEWERS[1], CASINO, 4),
        (VIEWERS[2], HEAT, 6),
        (VIEWERS[2], CASINO, 5),
    ]
    ids = {line: f"movielens:{user[-3:]}:{title[-2:]}:{line}" for user, title, line in lines}
    raw = write(
        lake,
        "raw_movielens__ratings",
        *(
            {"load_id": "load", "file_name": "ratings.csv", "line_number": n, "raw_text": f"line {n}"}
            for _, _, n in lines
        ),
        {"load_id": "other", "file_name": "ratings.csv", "line_number": 2, "raw_text": "not this one"},
    )
    core = write(
        lake,
        "core_movielens__ratings",
        *(
            {"event_id": ids[n], "user_id": user, "content_id": title, "rating": 4.0, "rated_at": AT + timedelta(minutes=n),
             "load_id": "load", "line_number": n}
            for user, title, n in lines
        ),
        inputs={"raw_movielens__ratings": raw},
    )  # fmt: skip
    seen = [
        {"event_id": ids[n], "user_id": user, "content_id": title, "interaction_type": "rate", "value": 4.0,
         "occurred_at": AT + timedelta(minutes=n), "source": "movielens", "split": "train"}
        for user, title, n in lines
    ]  # fmt: skip
    mart = write(lake, "marts_nexus__interactions", *seen, inputs={"core_movielens__ratings": core})
    write(lake, model.TRAINING, *seen, inputs={"marts_nexus__interactions": mart})
    write(
        lake,
        "core_nexus__titles",
        *({"content_id": one, "title": name} for one, name in ((HEAT, "Heat"), (ALIEN, "Alien"))),
    )
    return lake


def serve(settings: Settings, **changes: Any) -> str:
    """An answer as the API writes it down; returns its id."""
    recommendation_id = served.new_id()
    body = {
        "recommendation_id": recommendation_id,
        "user_id": VIEWERS[0],
        "served_at": datetime.now(UTC),
        "rung": "champion",
        "model_version": "7",
        "data_version": 4,
        "data_hash": "abc",
        "history": [
            {"event_id": EVENT, "content_id": ALIEN},
            {"event_id": "movielens:065:0b:2", "content_id": HEAT},
        ],
        "titles": [
            {
                "content_id": CASINO,
                "title": "Casino",
                "score": 1.5,
                "is_new": False,
                "text": "Because you watched Heat and Alien",
                "because": [{"content_id": HEAT, "contribution": 1.0}, {"content_id": ALIEN, "contribution": 0.5}],
            }
        ],
    }
    with redis.Redis.from_url(settings.redis.dsn()) as client:
        client.xadd(served.STREAM, {"served": orjson.dumps(body | changes)})
    return str(recommendation_id)


def drained(settings: Settings, lake: Lake) -> int:
    with redis.Redis.from_url(settings.redis.dsn()) as client:
        return drain(
            lake, client, stream=served.STREAM, field=served.FIELD, table=served.TABLE, columns=served.columns
        ).rows


def play(settings: Settings) -> None:
    """Our viewer's event, as accepted."""
    event = events.Event(
        event_id=EVENT,
        type=events.EventType.VIEW,
        user_id=UUID(VIEWERS[0]),
        user_ref="movielens:1",
        content_id=UUID(ALIEN),
        occurred_at=AT,
        received_at=AT,
    )
    with redis.Redis.from_url(settings.redis.dsn()) as client:
        client.eval(events.ACCEPT_SCRIPT, 0, *events.accept_arguments([event]))


def newest(lake: Lake) -> int:
    found = lake.version(model.TRAINING)
    assert found is not None
    return found


def test_why__right_after_the_answer__names_data_and_the_rows_behind_each_reason(settings_, lake) -> None:
    play(settings_)
    answer = explain(settings_, serve(settings_, data_version=newest(lake)))
    assert (answer["found_in"], answer["rung"], answer["user_id"]) == ("redis", "champion", VIEWERS[0])
    assert (answer["data"]["table"], answer["data"]["version"], answer["data"]["is_exact"]) == (
        model.TRAINING,
        newest(lake),
        True,
    )
    (title,) = answer["titles"]
    heat, alien = title["reasons"]
    assert heat["because"] == {"content_id": HEAT, "contribution": 1.0, "title": "Heat"}
    assert [row["table"] for row in heat["rows"]] == ["marts_nexus__interactions", "core_movielens__ratings"]
    assert heat["raw_rows"] == [
        {"table": "raw_movielens__ratings", "load_id": "load", "file_name": "ratings.csv", "line_number": 2, "raw_text": "line 2"}
    ]  # fmt: skip
    support = heat["training"]
    assert (support["viewers_with_both"], support["viewers_in_this_order"], support["viewers_with_title"]) == (2, 1, 2)
    texts = [[row["raw_text"] for row in example["raw_rows"]] for example in support["examples"]]
    assert sorted(texts) == [["line 3", "line 4"], ["line 6", "line 5"]]
    (waiting,) = alien["raw_rows"]
    assert (waiting["table"], waiting["event_id"], waiting["is_waiting"]) == ("raw_nexus__events", EVENT, True)
    assert orjson.loads(waiting["raw_text"])["event_id"] == EVENT
    assert alien["training"]["viewers_with_both"] == 0


def test_why__long_after__from_the_lake_alone_with_the_model_replaced(settings_, lake, make_bundle) -> None:
    recommendation_id = serve(settings_, data_version=newest(lake))
    serve(settings_)
    assert drained(settings_, lake) == 2
    assert drained(settings_, lake) == 0
    make_bundle(Path(settings_.bundle_url), "7", [HEAT, CASINO])
    make_bundle(Path(settings_.bundle_url), "8", [HEAT, CASINO])
    write_pointer(settings_.bundle_url, "8")
    stream = {"stream_id": "5-0", "body": '{"event_id":"0190-play-1"}', "day": date(2026, 1, 2)}
    write(lake, "raw_nexus__events", stream)
    core = {"event_id": EVENT, "event_type": "view", "user_id": VIEWERS[0], "content_id": ALIEN, "stream_id": "5-0"}
    write(lake, "core_nexus__events", core)
    away = settings_.model_copy(
        update={"redis": settings_.redis.model_copy(update={"url": type(settings_.redis.url)("redis://127.0.0.1:9/0")})}
    )
    answer = explain(away, recommendation_id)
    assert answer["found_in"] == "lake"
    known = answer["model"]
    assert (known["version"], known["data_hash"], known["is_served_now"], known["registry"]) == (
        "7",
        "abc",
        False,
        "away",
    )
    assert known["metrics"] == {"ndcg_at_10": 0.1}
    assert set(answer["data"]["tables"]) == {
        model.TRAINING,
        "marts_nexus__interactions",
        "core_movielens__ratings",
        "raw_movielens__ratings",
    }
    (raw,) = answer["titles"][0]["reasons"][1]["raw_rows"]
    assert raw == {"table": "raw_nexus__events", "stream_id": "5-0", "event_id": EVENT, "raw_text": stream["body"]}


def test_why__training_version_is_gone__takes_the_newest_and_says_so(settings_, lake) -> None:
    answer = explain(settings_, serve(settings_, data_version=99))
    assert (answer["data"]["version"], answer["data"]["is_exact"]) == (newest(lake), False)
    assert answer["titles"][0]["reasons"][0]["training"]["viewers_with_both"] == 2


@pytest.mark.usefixtures("lake")
def test_why__popular_answer__has_neither_model_nor_reasons_but_counts(settings_) -> None:
    popular = {"content_id": HEAT, "title": "Heat", "score": 1.0, "is_new": False, "text": "Popular", "because": []}
    changes = {"rung": "popular", "model_version": None, "data_version": None, "history": [], "titles": [popular]}
    answer = explain(settings_, serve(settings_, **changes))
    assert answer["model"] is None
    assert answer["titles"][0]["reasons"] == []
    assert answer["titles"][0]["viewers_with_title"] == 3


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("nonsense", Category.INVALID),
        ("0182bbee-9c88-42a6-8742-71710550db37", Category.NOT_FOUND),
        ("01a2081b-9a01-75c4-b4fd-739927f9d9cc", Category.NOT_FOUND),
    ],
)
def test_why__unknown_id__is_one_clear_error(settings_, text, category) -> None:
    with pytest.raises(NexusError) as caught:
        explain(settings_, text)
    assert (caught.value.category, caught.value.field) == (category, "recommendation_id")
    assert caught.value.remedy


def test_why__a_record_that_is_no_record__is_passed_over(settings_, lake) -> None:
    with redis.Redis.from_url(settings_.redis.dsn()) as client:
        wanted = served.new_id()
        client.xadd(served.STREAM, {"served": f'{{"recommendation_id": "{wanted}"}}'})
        client.xadd(served.STREAM, {"served": b"\xff"})
    with pytest.raises(NexusError, match="no such recommendation"):
        explain(settings_, str(wanted))
    assert drained(settings_, lake) == 2


def test_why__on_a_terminal__says_model_data_titles_and_rows(settings_, lake, capsys) -> None:
    answer = explain(settings_, serve(settings_, data_version=newest(lake)))
    show(answer, Console(highlight=False, soft_wrap=True), at_most=1)
    said = capsys.readouterr().out
    for part in ("champion", "recommender 7", "Casino", "because of Heat", "load line 2: line 2", "2 of 2 viewers"):
        assert part in said


@pytest.mark.usefixtures("lake")
def test_why_command__as_json__has_the_stable_fields(settings_, monkeypatch) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(settings_.home))
    monkeypatch.setenv("NEXUS_REDIS__URL", settings_.redis.dsn())
    app = typer.Typer()
    cli.register(app)
    result = CliRunner().invoke(app, ["why", serve(settings_), "--json"])
    assert result.exit_code == 0, result.output
    answer = orjson.loads(result.output)
    assert {"recommendation_id", "served_at", "user_id", "rung", "model", "data", "titles"} <= set(answer)
    assert {"content_id", "title", "score", "reasons"} <= set(answer["titles"][0])
    assert {"because", "raw_rows"} <= set(answer["titles"][0]["reasons"][0])


def test_describe__registry_up__gives_run_figures_and_versions(monkeypatch, tmp_path) -> None:
    tags = {
        "metrics": '{"ndcg_10": 0.2}',
        "data_hash": "h",
        "data_version": '{"training_nexus__examples": 5, "core_nexus__titles": 2}',
        "kind": "attention",
    }
    found = {"run_id": "r", "tags": [{"key": key, "value": value} for key, value in tags.items()]}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"model_version": found}))
    plain = httpx.Client
    monkeypatch.setattr(model.httpx, "Client", lambda **words: plain(**words, transport=transport))
    known = model.describe(Settings(home=tmp_path, mlflow={"url": "http://mlflow"}), "3")
    assert (known["run_id"], known["metrics"], known["data_hash"], known["registry"]) == (
        "r",
        {"ndcg_10": 0.2},
        "h",
        "up",
    )
    tables = model.tables_of(Lake(str(tmp_path / "lake")), known, 4)
    assert tables == {"training_nexus__examples": 5, "core_nexus__titles": 2}
