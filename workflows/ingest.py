"""IngestAnalyseRecommend: a title comes in; it is stored, understood, and we say who would like it.

Steps: store (Postgres) -> embed (sentence model -> pgvector) -> similar -> audience -> publish (Redis stream, serving
is told). Each is an idempotent activity: delivered twice, it leaves what once leaves.

Cancelled, by the update ``cancel`` or by the engine's own request: the running step is stopped, later ones do not
run, and nothing is taken back. What is left is consistent at every point: before ``store`` nothing has changed; after
it the title is a title like any other, whose vector, if it is missing, the next run of the asset content_embeddings
makes. The event goes out even then, and also when a later step fails for good, because what Postgres knows the lake
and serving must hear of. Once ``publish`` has begun it is too late, and the update is refused.

Does not belong here: anything that reaches out of the workflow (workflows.activities).
"""

from __future__ import annotations

import asyncio
from typing import Literal, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():  # pure data, and slow to build once per workflow run
    from pydantic import BaseModel

    from nexus import temporal_names
    from workflows.activities import names
    from workflows.messages import (
        Acknowledged,
        Audience,
        CancelRequest,
        ContentEvent,
        ContentKey,
        IngestRequest,
        IngestResult,
        NearestRequest,
        Progress,
        Published,
        SimilarTitles,
        StepState,
        StoredContent,
        StoredVector,
    )
    from workflows.policies import MODEL, QUICK, Policy
    from workflows.steps import StepLog
    from workflows.updates import cancelled_by_update, conflict

STORE, EMBED, SIMILAR, AUDIENCE, PUBLISH = "store", "embed", "similar", "audience", "publish"
STEPS = (STORE, EMBED, SIMILAR, AUDIENCE, PUBLISH)

Result = TypeVar("Result", bound=BaseModel)


@workflow.defn(name=temporal_names.INGEST_WORKFLOW)
class IngestAnalyseRecommend:
    """One title, from a request to its audience."""

    @workflow.init
    def __init__(self, request: IngestRequest) -> None:
        self._request = request
        self._log = StepLog(STEPS)
        self._is_cancelling = False
        self._work: asyncio.Task[IngestResult] | None = None

    @workflow.run
    async def run(self, request: IngestRequest) -> IngestResult:
        """Take the steps; say how it ended in any case."""
        self._work = asyncio.create_task(self._take_steps(request))
        if self._is_cancelling:  # asked before the first step
            self._work.cancel()
        try:
            result = await self._work
        except (Exception, asyncio.CancelledError) as error:
            cancelled = is_cancelled_exception(error)
            is_untold = self._log.is_done(STORE) and not self._log.is_started(PUBLISH)
            self._log.close(StepState.CANCELLED if cancelled else StepState.FAILED, _reason(error))
            if is_untold:
                await self._announce_stored()
            await workflow.wait_condition(workflow.all_handlers_finished)
            if cancelled and self._is_cancelling:
                raise cancelled_by_update() from error
            raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    @workflow.query(name=temporal_names.PROGRESS_QUERY)
    def progress(self) -> Progress:
        """Where each step stands."""
        return self._log.progress()

    @workflow.update(name=temporal_names.CANCEL_UPDATE)
    async def cancel(self, request: CancelRequest) -> Acknowledged:  # noqa: ARG002 recorded in the history
        """Stop what runs and take no further step."""
        self._is_cancelling = True
        if self._work is not None:
            self._work.cancel()
        return Acknowledged()

    @cancel.validator
    def _may_cancel(self, request: CancelRequest) -> None:  # noqa: ARG002 the signature is the engine's
        if self._is_cancelling:
            raise conflict("the operation is being cancelled already")
        if self._log.is_started(PUBLISH):
            raise conflict("it is too late to cancel: the result is being published")

    async def _take_steps(self, request: IngestRequest) -> IngestResult:
        info = workflow.info()
        key = ContentKey(content_id=request.content_id, operation_id=info.workflow_id, run_id=info.run_id)
        await self._step(STORE, names.STORE_CONTENT, request, StoredContent, QUICK)
        vector = await self._step(EMBED, names.EMBED_CONTENT, key, StoredVector, MODEL)
        similar = await self._step(
            SIMILAR,
            names.FIND_SIMILAR,
            NearestRequest(content_id=vector.content_id, limit=request.similar_limit),
            SimilarTitles,
            QUICK,
        )
        audience = await self._step(
            AUDIENCE,
            names.FIND_AUDIENCE,
            NearestRequest(content_id=vector.content_id, limit=request.audience_limit),
            Audience,
            QUICK,
        )
        self._log.start(PUBLISH)
        await self._announce("ingested", similar, audience)
        self._log.finish(PUBLISH)
        self._log.close()
        return IngestResult(content_id=request.content_id, similar=similar.items, audience=audience.items)

    async def _step(
        self, step: str, activity: str, argument: BaseModel, result: type[Result], policy: Policy
    ) -> Result:
        self._log.start(step)
        answer = await workflow.execute_activity(activity, argument, result_type=result, **policy.options())
        self._log.finish(step, _detail(answer))
        return answer

    async def _announce_stored(self) -> None:
        try:
            await self._announce("stored", SimilarTitles(), Audience())
        except ActivityError as error:  # what ended the operation is what its starter has to hear
            workflow.logger.error("the title was stored, but not announced: %s", error.cause)

    async def _announce(self, state: Literal["ingested", "stored"], similar: SimilarTitles, audience: Audience) -> None:
        info = workflow.info()
        event = ContentEvent(
            operation_id=info.workflow_id,
            run_id=info.run_id,
            content_id=self._request.content_id,
            state=state,
            similar=similar,
            audience=audience,
            occurred_at=workflow.now(),
        )
        await workflow.execute_activity(names.PUBLISH_CONTENT, event, result_type=Published, **QUICK.options())


def _detail(answer: BaseModel) -> str | None:
    match answer:
        case StoredVector():
            return answer.model
        case SimilarTitles():
            return f"{len(answer.items)} titles"
        case Audience():
            return f"{len(answer.items)} viewers"
    return None


def _reason(error: BaseException) -> str | None:
    cause = error.__cause__ if error.__cause__ is not None else error
    return cause.message[:200] if isinstance(cause, ApplicationError) else None
