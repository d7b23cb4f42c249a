"""When the chain is read: a sensor that looks at it each minute and asks for a run only when there is something to do.

Belongs here: the sensor. Does not belong here: reading the chain (contracts.client.logs), the assets (assets/raw, core, marts).
The chain's assets are a job of their own and no part of the pipeline: a chain that is away must not hold up or fail anything
else, and without web3 nothing of this runs.
"""

import time

import dagster as dg

from assets.jobs import CHAIN
from assets.resources import PlatformResource
from assets.schedules import BY_TAG, is_under_way
from contracts.client.logs import source
from nexus.errors import NexusError
from nexus.settings import Settings

_EVERY_S = 60
_AGAIN_S = 600
"""The same news are asked for again after this long: the run may have failed."""


def sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensor; it runs from the start, so that it notices when web3 is turned on, unless people are to do everything."""
    is_on = settings.training.is_automatic

    @dg.sensor(
        name="new_logs",
        job_name=CHAIN,
        minimum_interval_seconds=_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED,
        description="Reads the chain when it has logs of our contracts, or lost some that were read.",
    )
    def new_logs(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.RunRequest | dg.SkipReason:
        """Compare the chain with the position of the last load."""
        current = platform.settings()
        if not current.web3.enabled:
            return dg.SkipReason("web3 is off (web3.enabled)")
        if is_under_way(context.instance, CHAIN):
            return dg.SkipReason("the chain is being read")
        try:
            found = source.waiting(current, platform.lake())
        except NexusError as error:
            if not error.retryable:
                raise
            return dg.SkipReason(f"{error.message}; asked again in {_EVERY_S} s")
        if found.what is None:
            return dg.SkipReason("nothing new on the chain")
        tags = {BY_TAG: "new_logs", "nexus/reason": found.what}
        return dg.RunRequest(run_key=f"{found.key}:{int(time.time() // _AGAIN_S)}", tags=tags)

    return [new_logs]
