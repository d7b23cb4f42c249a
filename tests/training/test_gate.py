"""The gate refuses what is worse, with the numbers."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from training import gate
from training.bundle_format import WHOLE_INPUTS, Manifest

pytestmark = pytest.mark.unit

RANDOM = np.random.default_rng(4)
GOOD = RANDOM.integers(1, 40, 600).tolist()
BAD = RANDOM.integers(5, 400, 600).tolist()
SLIGHTLY_WORSE = [rank + (index % 3 == 0) for index, rank in enumerate(GOOD)]


def test_decide__better_than_champion_and_floors__is_accepted() -> None:
    decision = gate.decide(GOOD, {"popularity": BAD}, SLIGHTLY_WORSE, is_floor=False)
    assert decision.is_accepted
    assert [found.against for found in decision.comparisons] == ["champion", "popularity"]
    assert "better than champion" in decision.words()


@pytest.mark.parametrize(
    ("floors", "champion", "named"),
    [({"ease": GOOD}, None, "ease"), ({"popularity": BAD}, GOOD, "champion")],
    ids=["loses to a floor", "loses to the champion"],
)
def test_decide__worse__is_refused_with_the_numbers(floors: dict, champion: list | None, named: str) -> None:
    decision = gate.decide(SLIGHTLY_WORSE, floors, champion, is_floor=False)
    assert not decision.is_accepted
    refused = [found for found in decision.comparisons if not found.is_passed]
    assert [found.against for found in refused] == [named]
    assert refused[0].mean_difference < 0
    assert f"{refused[0].other:.4f}" in decision.words()
    json.dumps(decision.as_dict())


def test_decide__equal_model__is_refused() -> None:
    assert not gate.decide(GOOD, {}, GOOD, is_floor=False).is_accepted


def test_decide__floor_that_won_validation__is_refused_only_by_evidence() -> None:
    assert gate.decide(SLIGHTLY_WORSE[:3], {"ease": GOOD[:3]}, None, is_floor=True).is_accepted
    assert not gate.decide(BAD, {"ease": GOOD}, None, is_floor=True).is_accepted


def test_decide__wrong_form__is_refused_whatever_the_figures() -> None:
    manifest = Manifest(
        version="1",
        model_name="m",
        created_at=datetime.now(UTC),
        data_hash="x",
        history_length=5,
        files={},
        context_features=("other",),
        titles=10,
    )
    complaints = gate.check_form(manifest, ("viewer_activity",), served_titles=100)
    assert len(complaints) == 2
    assert not gate.decide(GOOD, {}, BAD, is_floor=False, complaints=complaints).is_accepted


def test_bootstrap__same_seed__is_repeatable_and_brackets_the_mean() -> None:
    difference = RANDOM.normal(0.01, 0.1, 500)
    lower, upper = gate.bootstrap(difference)
    assert lower < difference.mean() < upper
    assert gate.bootstrap(difference) == (lower, upper)


def test_check_form__catalogue_shrank__is_refused_with_both_numbers() -> None:
    made = {"version": "1", "model_name": "m", "created_at": datetime.now(UTC), "data_hash": "x", "history_length": 5}
    few, enough = (Manifest(**made, files={}, titles=titles) for titles in (89, 90))
    (complaint,) = gate.check_form(few, (), served_titles=100)
    assert "89" in complaint
    assert "100" in complaint
    assert gate.check_form(enough, (), served_titles=100) == []
    assert gate.decide(GOOD, {}, BAD, is_floor=False, complaints=[complaint]).words().startswith("refused: it knows 89")


def test_check_form__signature_of_before__is_refused() -> None:
    made = {"version": "1", "model_name": "m", "created_at": datetime.now(UTC), "data_hash": "x", "history_length": 5}
    (complaint,) = gate.check_form(Manifest(**made, files={}, inputs=WHOLE_INPUTS), (), served_titles=None)
    assert complaint.startswith("signature")
    assert gate.check_form(Manifest(**made, files={}), (), served_titles=None) == []
