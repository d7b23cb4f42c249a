"""Training from end to end at a size of seconds: golden losses, resuming, odd histories, several processes, export."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nexus.errors import Category, NexusError
from tests.training.sequence.worlds import history, tiny, walks
from training.bundle_format import OUTPUTS
from training.dataset import Dataset, History, leave_out
from training.evaluation import evaluate
from training.models_api import Exportable, Model, OnDevice, Resumable, quiet
from training.sequence import export, loop
from training.sequence.checkpoint import Progress
from training.sequence.config import MixtureConfig, SequenceConfig
from training.sequence.model import SequenceModel
from training.sequence.scorer import SequenceScorer

pytestmark = pytest.mark.unit

MIXTURE = MixtureConfig(viewer_parts=2, title_parts=3, part_width=8, gate_width=8)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return walks()


@pytest.fixture(scope="module")
def trained(data: Dataset) -> SequenceScorer:
    return fitted(data, tiny())


def fitted(
    data: Dataset, config: SequenceConfig, *, seed: int = 1, budget_s: float = 60.0, **values: object
) -> SequenceScorer:
    split = leave_out(data, last=2, name="validation")
    model = SequenceModel(config, threads=1, **values)  # type: ignore[arg-type]
    return model.fit(data, split.histories, validation=split, seed=seed, budget_s=budget_s, tell=quiet)


def weights_of(scorer: SequenceScorer) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in scorer.net.state_dict().items()}


def are_equal(one: SequenceScorer, other: SequenceScorer) -> bool:
    left, right = weights_of(one), weights_of(other)
    return all((left[name] == right[name]).all() for name in left)


@pytest.mark.parametrize(
    ("values", "last_loss"),
    [
        ({"block": "ligr"}, 1.920),
        ({"block": "hstu", "position": "relative", "has_time": True}, 2.185),
        ({"block": "sasrec", "is_normalised": False}, 2.607),
        ({"block": "ligr", "loss": "sampled", "negatives": 8}, 1.828),
        ({"block": "ligr", "is_unseen_only": True, "item_dropout": 0.1}, 1.547),
        ({"head": MIXTURE}, 1.515),
        ({"head": MIXTURE, "loss": "sampled", "negatives": 8}, 1.615),
    ],
)
def test_fit__viewers_who_walk_in_order__learns_it_with_the_golden_loss(
    data: Dataset, values: dict[str, object], last_loss: float
) -> None:
    scorer = fitted(data, tiny(**values))
    losses = [point["loss"] for point in scorer.settings["curve"]]
    assert losses[-1] == pytest.approx(last_loss, rel=0.02)
    outcome = evaluate(scorer, leave_out(data, last=1, name="test"), data.size)
    assert outcome.metrics()["ndcg_10"] > 0.6


def test_model__of_its_kind__offers_what_the_runner_asks_for(trained: SequenceScorer) -> None:
    model: Model = SequenceModel(tiny())
    assert isinstance(model, Resumable)
    assert isinstance(model, OnDevice)
    assert isinstance(trained, Exportable)


def test_fit__same_and_other_seed__same_and_other_weights(data: Dataset, trained: SequenceScorer) -> None:
    assert are_equal(fitted(data, tiny()), trained)
    assert not are_equal(fitted(data, tiny(), seed=2), trained)


@pytest.mark.parametrize("head", [None, MIXTURE])
@pytest.mark.parametrize("killed_after", [1, 9, 25])
def test_fit__killed_and_started_again__gives_the_same_weights(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int, head: MixtureConfig | None
) -> None:
    config = tiny(head=head)
    trained = fitted(data, config)
    step, done = loop.Training._step, []

    def mortal(training: loop.Training, steps: list) -> None:
        if len(done) == killed_after:
            raise KeyboardInterrupt
        done.append(step(training, steps))

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "_step", mortal)
        with pytest.raises(KeyboardInterrupt):
            fitted(data, config, folder=tmp_path, save_every_s=-1.0)
    again = fitted(data, config, folder=tmp_path)
    assert are_equal(again, trained)
    assert [p["loss"] for p in again.settings["curve"]] == [p["loss"] for p in trained.settings["curve"]]
    assert are_equal(fitted(data, config, folder=tmp_path), trained)


def test_fit__checkpoint_of_another_training_or_damaged__is_refused(data: Dataset, tmp_path: Path) -> None:
    fitted(data, tiny(epochs=1), folder=tmp_path)
    with pytest.raises(NexusError, match="another training") as refused:
        fitted(data, tiny(epochs=1, lr=0.02), folder=tmp_path)
    assert refused.value.category == Category.CONFLICT
    (tmp_path / "training.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(NexusError, match="cannot be read"):
        fitted(data, tiny(epochs=1), folder=tmp_path)


def test_fit__no_time_left__ends_with_what_there_is(data: Dataset) -> None:
    scorer = fitted(data, tiny(epochs=50), budget_s=1e-9)
    assert scorer.settings["is_time_limited"]
    assert np.isfinite(scorer.scores(data.histories[:2], np.zeros((2, 1), np.float32))).all()


@pytest.mark.parametrize(
    ("epoch", "ended_s", "seconds", "wanted"),
    [
        (1, 0.0, 14.0, 12),  # ten by the first epoch alone, which warmed up
        (1, 0.0, 40.0, 3),
        (1, 0.0, 500.0, 1),
        (2, 14.0, 24.0, 12),
        (2, 14.0, 44.0, 5),
        (3, 44.0, 104.0, 12),  # the rate follows the plan by now
    ],
)
def test_epochs_that_fit__an_epoch_has_ended__looks_at_the_last_one(
    epoch: int, ended_s: float, seconds: float, wanted: int
) -> None:
    progress = Progress(epochs=12, epoch=epoch, ended_s=ended_s, seconds=seconds)
    assert loop.epochs_that_fit(progress, 150.0) == wanted
    assert loop.epochs_that_fit(progress, float("inf")) == 12


def test_fit__nothing_to_learn_from__is_refused(data: Dataset) -> None:
    with pytest.raises(NexusError, match="no history"):
        SequenceModel(tiny()).fit(data, [history()], validation=None, seed=1, budget_s=1.0, tell=quiet)


def test_refit__longer_histories__goes_on_where_the_recipe_wants_it(data: Dataset, trained: SequenceScorer) -> None:
    test = leave_out(data, last=1, name="test")
    assert trained.refit(test.histories) is trained
    scorer = fitted(data, tiny(refit_epochs=2))
    assert are_equal(scorer, trained)
    longer = scorer.refit(test.histories)
    assert not are_equal(longer, trained)
    assert are_equal(longer, scorer.refit(test.histories))
    assert evaluate(longer, test, data.size).ndcg_10.mean() > evaluate(trained, test, data.size).ndcg_10.mean() - 0.05


@pytest.mark.parametrize("start", ["random", "svd"])
def test_fit__one_viewer_with_one_title__works(start: str) -> None:
    one = Dataset(("", "t1"), ("u",), (history(1),), np.zeros(2, np.float32), ((), ()), ("activity",), "one")
    model = SequenceModel(tiny(start=start), threads=1)
    scorer = model.fit(one, one.histories, validation=None, seed=1, budget_s=60.0, tell=quiet)
    assert scorer.scores([history(), history(1)], np.zeros((2, 1), np.float32)).shape == (2, 2)


def test_fit__embeddings_of_a_factorisation__begin_elsewhere(data: Dataset) -> None:
    begun = fitted(data, tiny(start="svd"))
    assert begun.settings["curve"][-1]["validation_ndcg_10"] > 0.6
    assert begun.settings["curve"][0]["loss"] != fitted(data, tiny(epochs=1)).settings["curve"][0]["loss"]


def test_scores__odd_histories__are_finite_and_do_not_depend_on_company(data: Dataset, trained: SequenceScorer) -> None:
    random = np.random.default_rng(0)
    odd = [
        history(),
        history(5),
        history(*random.integers(1, data.size, 10_000)),
        history(999, 0, 7),
        history(*range(1, 9)),
    ]
    together = trained.scores(odd, np.zeros((len(odd), 1), np.float32))
    assert np.isfinite(together).all()
    for row, one in enumerate(odd):
        assert np.allclose(trained.scores([one], np.zeros((1, 1), np.float32)), together[row], atol=1e-4)
    unknown = trained.scores([history(7)], np.zeros((1, 1), np.float32))
    assert np.allclose(together[3], unknown, atol=1e-4)


def test_encode__dot_products_with_titles__are_the_scores(data: Dataset, trained: SequenceScorer) -> None:
    scores = trained.scores(data.histories[:3], np.zeros((3, 1), np.float32))
    assert np.allclose(trained.encode(data.histories[:3]) @ trained.titles.T, scores, atol=1e-4)


def test_moved__a_walk__names_the_last_title(trained: SequenceScorer) -> None:
    moved = trained.moved(history(3, 4, 5, 6), np.array([7]))
    assert moved.shape == (4, 1)
    assert int(moved[:, 0].argmax()) == 3


def test_mixture__refit_and_reasons__work_as_with_the_dot_product(data: Dataset) -> None:
    scorer = fitted(data, tiny(head=MIXTURE, refit_epochs=1))
    test = leave_out(data, last=1, name="test")
    longer = scorer.refit(test.histories)
    assert not are_equal(longer, scorer)
    assert evaluate(longer, test, data.size).metrics()["ndcg_10"] > 0.6
    moved = scorer.moved(history(3, 4, 5, 6), np.array([7, 9]))
    assert moved.shape == (4, 2)
    assert int(moved[:, 0].argmax()) == 3


def test_fit__protocol_gives_no_time_of_the_request__time_is_left_out(data: Dataset) -> None:
    assert not fitted(data, tiny(has_time=True, epochs=1)).settings["has_time"]


def test_scores_at__network_that_knows_time__listens_to_it(data: Dataset) -> None:
    histories, contexts = data.histories[:2], np.zeros((2, 1), np.float32)
    newest = np.array([one.at_s[-1] for one in data.histories])
    split = leave_out(data, last=2, name="validation")
    timed = replace(split, asked_at_s=newest)
    model = SequenceModel(tiny(has_time=True, epochs=2), threads=1)
    scorer = model.fit(data, split.histories, validation=timed, seed=1, budget_s=60.0, tell=quiet)
    usual = scorer.scores(histories, contexts)
    assert np.allclose(scorer.scores_at(histories, contexts, newest[:2]), usual, atol=1e-5)
    assert not np.allclose(scorer.scores_at(histories, contexts, newest[:2] + 1e6), usual)


@pytest.mark.parametrize("head", [None, MIXTURE])
def test_export__every_option__agrees_with_the_scorer(
    data: Dataset, tmp_path: Path, head: MixtureConfig | None
) -> None:
    config = tiny(epochs=1, block="hstu", position="both", has_time=True, head=head)
    model = SequenceModel(config, threads=1)
    scorer = model.fit(data, data.histories, validation=None, seed=1, budget_s=60.0, tell=quiet)
    found = scorer.export(data, tmp_path / "model.onnx")
    assert found.max_abs_difference < export.TOLERANCE
    running = export.session(found.path)
    histories: list[History] = [history(), history(3), data.histories[0], history(*range(1, 15))]
    inputs = export.real_inputs(scorer, histories, 1)
    inputs["titles"] = np.array([[1, 0, 7, 7]] * 4)
    scores, parts = running.run(list(OUTPUTS), inputs)
    assert np.allclose(scores, scorer.scores(histories, np.zeros((4, 1), np.float32)), atol=1e-3)
    assert parts.shape == (*inputs["items"].shape, 4)
    is_title = inputs["items"] > 0
    assert (parts[~is_title] == 0).all()
    assert (np.abs(parts[is_title][:, [0, 2]]) > 0).all()
    assert (parts[..., 1] == 0).all()
    assert (parts[..., 2] == parts[..., 3]).all()
    assert found.contributions_ms > 0


@pytest.mark.parametrize("smaller", [export.int8, export.float16])
def test_smaller_weights__small_network__say_about_the_same(
    data: Dataset, trained: SequenceScorer, tmp_path: Path, smaller: Callable[[Path, Path], Path]
) -> None:
    plain = tmp_path / "model.onnx"
    assert trained.export(data, plain).max_abs_difference < export.TOLERANCE
    inputs = export.real_inputs(trained, data.histories, 1)
    scores, parts = export.session(plain).run(list(OUTPUTS), inputs)
    rounded, others = export.session(smaller(plain, tmp_path / "small.onnx")).run(list(OUTPUTS), inputs)
    assert np.mean(rounded[:, 1:].argmax(1) == scores[:, 1:].argmax(1)) > 0.9
    assert np.corrcoef(parts.ravel(), others.ravel())[0, 1] > 0.99


def test_fit__gpu_where_there_is_none__is_said(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(NexusError, match="no GPU") as refused:
        fitted(data, tiny(epochs=1), device="gpu")
    assert refused.value.category == Category.UNAVAILABLE
