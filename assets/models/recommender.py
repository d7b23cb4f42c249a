"""The recommender: candidate, evaluation, champion.

Belongs here: thin assets over training. Does not belong here: training, rules of the gate, how a promotion is done.
"""

import base64
from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.adapters import temporal
from assets.compute import GPU_POOL
from assets.resources import PlatformResource
from assets.tables import OWNER
from features.schema import CONTEXT_FEATURES
from nexus import temporal_names as names
from nexus.errors import not_found
from nexus.settings import Settings
from training import challenge, dataset, experiment, plots, registry, snapshot, tables, tracking
from training.bundle_format import TRAINED
from training.config import Compute
from training.content import texts
from training.hybrid.config import HybridConfig

_SHOWN = (
    "ndcg_10",
    "hr_10",
    "ndcg_50",
    "hr_50",
    "coverage_10",
    "popularity_10",
    "hr_10_debiased",
    "validation_ndcg_10",
)


@dg.asset(
    group_name="models",
    owners=[OWNER],
    kinds={"torch", "onnx", "mlflow"},
    deps=[snapshot.EXAMPLES, snapshot.TITLES, "content_embeddings"],
    pool=GPU_POOL,
)
def model_recommender__candidate(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult[None]:
    """Train the hybrid beside the floors, log the run, register the best on validation titles as challenger."""
    settings, source, config = platform.settings(), read_source(platform), HybridConfig()
    data, seed = source.dataset, settings.training.seeds[0]
    wanted = tracking.fingerprint(data, config, seed)
    known = tracking.find(settings, wanted)
    if known is not None:
        context.log.info("version %s was trained on the same data with the same configuration: nothing to do", known)
        return _result(wanted, {"version": known, "is_skipped": True, "data_hash": data.data_hash})
    with snapshot.keeping(settings, source) as kept:
        done = experiment.run(
            data,
            config,
            seed=seed,
            max_seconds=settings.training.max_seconds,
            compute=Compute.of(settings.training),
        )
        pin = kept()
    if pin.note:
        context.log.warning("training data: %s", pin.note)
    found = texts.of(settings, data)
    if found is None:
        context.log.warning("no text vectors: titles that nobody watched are ranked without the model")
    logged = tracking.log(settings, done, pin, found)
    facts = {
        "version": logged.version,
        "kind": logged.kind,
        "is_skipped": False,
        "data_hash": data.data_hash,
        "data_version": data.data_version or 0,
        "snapshot": f"dvc {pin.dvc.md5}" if pin.dvc else pin.note,
        "made_from": str(pin.versions),
        "dagster/row_count": sum(map(len, data.histories)),
        "viewers": len(data.histories),
        "titles": data.size - 1,
        "titles_with_text": 0 if found is None else int(found.any(axis=1).sum()),
        "table": _table(done.table()),
        "protocol": done.protocol,
        "curves": _picture(plots.curves(done.curves)),
        "floors": _picture(plots.comparison(done.table())),
        "parts": dg.MetadataValue.json(dict(done.hybrid.settings["weights"])),
        "chosen": dg.MetadataValue.json(done.hybrid.settings["chosen"]),
    }
    measured = logged.exported.metrics() | {f"{part}_s": seconds for part, seconds in done.seconds.items()}
    return _result(wanted, facts | measured)


@dg.asset(group_name="models", owners=[OWNER], kinds={"mlflow"}, deps=[model_recommender__candidate])
def model_recommender__evaluation(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Ask the gate: is the newest version better than the champion and the floors on the same held-out titles?"""
    settings, data = platform.settings(), read(platform)
    version = _version_of(settings, data)
    judged = challenge.judge(settings, data, version)
    lengths = [len(history) for history in dataset.leave_out(data, last=1, name="test").histories]
    ranks = tracking.record_of(settings, version)["ranks"]
    found = tables.by_length({name: of for name, of in ranks.items() if len(of) == len(lengths)}, lengths)
    facts = {
        "version": version,
        "champion": judged.champion or "none yet",
        "is_accepted": judged.decision.is_accepted,
        "decision": judged.decision.words(),
        "comparisons": dg.MetadataValue.json(judged.decision.as_dict()),
        "table": dg.MetadataValue.md(tables.by_candidate(judged.metrics, judged.kind, TRAINED[1:])),
        "by_history_length": dg.MetadataValue.md(tables.of_lengths(found)),
        "by_history_length_plot": _picture(plots.by_length(found)),
        "protocol": judged.protocol,
    }
    return _result(f"{version}:{judged.champion}:{judged.decision.is_accepted}", facts)


@dg.asset(group_name="models", owners=[OWNER], kinds={"temporal", "mlflow"}, deps=[model_recommender__evaluation])
def model_recommender__champion(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult[None]:
    """Start the promotion of an accepted version; a worse one is refused with the numbers and changes nothing."""
    settings, data = platform.settings(), read(platform)
    version = _version_of(settings, data)
    judged = challenge.judge(settings, data, version)
    outcome = _promote(settings, judged)
    context.log.info("version %s: %s; %s", version, outcome, judged.decision.words())
    facts = {
        "version": version,
        "outcome": outcome,
        "is_promoted": outcome == "done",
        "decision": judged.decision.words(),
        "comparisons": dg.MetadataValue.json(judged.decision.as_dict()),
    }
    return _result(f"{version}:{outcome}", facts)


def read(platform: PlatformResource) -> dataset.Dataset:
    """The training set as arrays."""
    return read_source(platform).dataset


def read_source(platform: PlatformResource) -> snapshot.Source:
    """The tables that training reads."""
    return snapshot.read(platform.lake(), CONTEXT_FEATURES)


def _promote(settings: Settings, judged: challenge.Judged) -> str:
    if judged.champion == judged.version:
        registry.promote(settings, judged.version)  # mends a pointer that a crash left behind
        return "already champion"
    if not judged.decision.is_accepted:
        return "refused"
    model = settings.mlflow.model_name
    payload = names.promote_payload(
        version=judged.version,
        reason=judged.decision.words()[:2000],
        require_approval=settings.training.require_approval,
        model_name=model,
    )
    workflow_id = names.promote_id(model, judged.version)
    if settings.training.require_approval:
        temporal.start(settings, names.PROMOTE_WORKFLOW, workflow_id=workflow_id, payload=payload)
        return "waiting for approval"
    result = temporal.start_and_wait(settings, names.PROMOTE_WORKFLOW, workflow_id=workflow_id, payload=payload)
    return str(result.get("outcome", "done"))


def _version_of(settings: Settings, data: dataset.Dataset) -> str:
    wanted = tracking.fingerprint(data, HybridConfig(), settings.training.seeds[0])
    version = tracking.find(settings, wanted)
    if version is None:
        raise not_found(
            "no model was trained on this data",
            field="model_recommender__candidate",
            value=data.data_hash,
            remedy="materialise model_recommender__candidate first",
        )
    return version


def _result(data_version: str, facts: Mapping[str, Any]) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata=dict(facts), data_version=dg.DataVersion(data_version))


def _table(metrics: Mapping[str, Mapping[str, float]]) -> dg.MarkdownMetadataValue:
    lines = ["| candidate | " + " | ".join(_SHOWN) + " |", "|" + "---|" * (len(_SHOWN) + 1)]
    ordered = sorted(metrics.items(), key=lambda item: -item[1]["ndcg_10"])
    lines += [f"| {name} | " + " | ".join(f"{found[key]:.4f}" for key in _SHOWN) + " |" for name, found in ordered]
    return dg.MetadataValue.md("\n".join(lines))


def _picture(png: bytes) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")
