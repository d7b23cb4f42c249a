"""The vectors of what titles say about themselves, in pgvector.

Belongs here: the asset. Does not belong here: the model and what is stale (media.text), titles that come in one by
one (workflows.ingest embeds those at once).
"""

import asyncio

import dagster as dg

from assets.resources import PlatformResource
from assets.tables import OWNER, SERVER_MAY_RESTART
from media.text.backfill import embed_missing
from media.text.cache import MODEL_NAME
from media.text.embedder import TextEmbedder
from nexus.db.content import CatalogueRow, load_catalogue
from nexus.db.pool import acquire, async_pool, connect
from nexus.settings import Settings


@dg.asset(
    group_name="features",
    owners=[OWNER],
    kinds={"postgres", "onnx"},
    deps=["serving_nexus__facts"],
    retry_policy=SERVER_MAY_RESTART,
)
def content_embeddings(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Embed every title whose text has no current vector; the same titles again embed nothing."""
    settings = platform.settings()
    titles = asyncio.run(_catalogue(settings))
    with connect(settings, "pipeline") as connection:
        done = embed_missing(
            connection,
            lambda: TextEmbedder.load(settings.home / "models"),
            titles,
            lambda count, of: context.log.info("embedded %d of %d titles", count, of),
        )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.titles,
            "embedded": done.stale,
            "written": done.written,
            "seconds": round(done.seconds, 2),
            "model": MODEL_NAME,
        },
        data_version=dg.DataVersion(done.digest),
    )


async def _catalogue(settings: Settings) -> list[CatalogueRow]:
    async with async_pool(settings, "pipeline", max_size=1) as pool, acquire(pool) as connection:
        return await load_catalogue(connection)
