"""How the JVM engine cares for a table's files: OPTIMIZE and VACUUM statements over Connect.

Belongs here: the statements. Does not belong here: which files may go; that is read from the log by the embedded keeper,
because Delta's own VACUUM knows whole hours only and no versions. The engine gets the list, checks it and deletes.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from nexus.lake.jvm_commit import AGAIN, place, translated
from nexus.lake.keeper import TRIES, EmbeddedKeeper, Rewritten
from nexus.lake.stored import gave_up
from nexus.lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_INVENTORY = "path string, length bigint, isDir boolean, modificationTime bigint"


class JvmKeeper:
    """Cares through Spark Connect.

    Args:
        session: Gives the calling thread's session.
    """

    def __init__(self, session: Callable[[], SparkSession]) -> None:
        self._session = session
        self._here = EmbeddedKeeper()

    def rewrite(self, table: Table, uri: str, columns: Sequence[str]) -> Rewritten:
        """See :class:`nexus.lake.keeper.Keeper`."""
        from pyspark.errors import PySparkException

        order = f" ZORDER BY ({', '.join(f'`{name}`' for name in columns)})" if columns else ""
        for attempt in range(TRIES):
            try:
                done = self._session().sql(f"OPTIMIZE {place(uri)}{order}").collect()[0]["metrics"]
            except PySparkException as error:
                if not (error.getCondition() or "").startswith(AGAIN):
                    raise translated(table, error) from error
                time.sleep(random.uniform(0.05, 0.2) * (attempt + 1))  # noqa: S311 spreads writers, no secret
            else:
                return Rewritten(
                    done["numFilesAdded"], done["numFilesRemoved"], int(done["filesRemoved"]["totalSize"] or 0)
                )
        raise gave_up(table, TRIES)

    def removable(self, uri: str, versions: range, hours: int, orphan_hours: int) -> Mapping[str, int]:
        """See :class:`nexus.lake.keeper.Keeper`."""
        return self._here.removable(uri, versions, hours, orphan_hours)

    def remove(self, uri: str, files: Mapping[str, int]) -> None:
        """See :class:`nexus.lake.keeper.Keeper`."""
        session = self._session()
        root = _qualified(uri)
        listed = session.createDataFrame(
            [(f"{root}/{name}", size, False, 0) for name, size in files.items()], _INVENTORY
        )
        view = f"nexus_inventory_{uuid.uuid4().hex}"
        listed.createOrReplaceTempView(view)
        try:
            session.sql(f"VACUUM {place(uri)} USING INVENTORY (SELECT * FROM {view}) RETAIN 0 HOURS").collect()  # noqa: S608 our own names
        finally:
            session.catalog.dropTempView(view)

    def checkpoint(self, uri: str) -> None:
        """See :class:`nexus.lake.keeper.Keeper`. Spark checkpoints when it likes; no statement asks it to."""
        self._here.checkpoint(uri)


def _qualified(uri: str) -> str:
    """The table's place as Hadoop spells it."""
    if uri.startswith("s3://"):
        return f"s3a://{uri.removeprefix('s3://')}"
    return uri if "://" in uri else f"file:{uri}"
