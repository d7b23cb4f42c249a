"""What Feast is told: entities, feature views over the lake's tables, and the service that a recommender reads.

Every object is built when asked for, because importing Feast takes seconds.
Does not belong here: where the registry and the online store are (features.store).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from features.schema import CONTEXT_FEATURES, TIMESTAMP, TITLE_FEATURES, VIEWER_FEATURES
from nexus.lake.catalogue import declared

if TYPE_CHECKING:
    from feast import Entity, FeatureService, FeatureView, Field

SERVICE: Final = "recommender_v1"
OWNER: Final = "features"


@dataclass(frozen=True)
class View:
    """A feature view over one lake table.

    Attributes:
        name: In the registry.
        entity: The entity's name.
        key: The entity's id column.
        table: The lake table that holds the values over time.
        features: The columns that are features.
    """

    name: str
    entity: str
    key: str
    table: str
    features: tuple[str, ...]


VIEWER: Final = View("viewer_stats", "viewer", "user_id", "features_nexus__viewer", VIEWER_FEATURES)
TITLE: Final = View("title_stats", "title", "content_id", "features_nexus__title", TITLE_FEATURES)
VIEWS: Final = (VIEWER, TITLE)
CONTEXT_REFERENCES: Final = tuple(f"{VIEWER.name}:{name}" for name in CONTEXT_FEATURES)


@dataclass(frozen=True)
class Repository:
    """The objects of the Feast repository."""

    entities: tuple[Entity, ...]
    views: tuple[FeatureView, ...]
    service: FeatureService

    def objects(self) -> list[Any]:
        """Everything, in the order in which it is applied."""
        return [*self.entities, *self.views, self.service]


def repository(lake_url: str) -> Repository:
    """Build the repository over the tables of a lake.

    Args:
        lake_url: Root of the Delta tables.
    """
    from feast import FeatureService

    entities = {view.name: _entity(view) for view in VIEWS}
    views = {view.name: _view(view, entities[view.name], lake_url) for view in VIEWS}
    service = FeatureService(
        name=SERVICE,
        features=[views[VIEWER.name][list(CONTEXT_FEATURES)], views[TITLE.name]],
        description="What the sequence recommender knows beside the history: the viewer's context, the title's figures.",
        owner=OWNER,
        tags={"version": "1"},
    )
    return Repository(tuple(entities.values()), tuple(views.values()), service)


def _entity(view: View) -> Entity:
    from feast import Entity, ValueType

    return Entity(name=view.entity, join_keys=[view.key], value_type=ValueType.STRING, description=_doc(view, view.key))


def _view(view: View, entity: Entity, lake_url: str) -> FeatureView:
    from feast import FeatureView, Field, FileSource
    from feast.data_format import DeltaFormat
    from feast.types import String

    table = declared(view.table)
    # DeltaFormat with the dask store works with deltalake 1.x; the extra feast[delta] would pull 0.25 and is never used.
    source = FileSource(
        name=view.table,
        path=f"{lake_url.rstrip('/')}/{view.table}",
        file_format=DeltaFormat(),
        timestamp_field=TIMESTAMP,
        description=table.description,
        owner=OWNER,
    )
    return FeatureView(
        name=view.name,
        entities=[entity],
        schema=[Field(name=view.key, dtype=String), *_fields(view)],
        source=source,
        ttl=timedelta(0),  # the newest value holds, however old
        online=True,
        description=table.description,
        owner=OWNER,
        tags={"table": view.table},
    )


def _fields(view: View) -> Iterable[Field]:
    from feast import Field
    from feast.types import Float64, Int64

    schema = declared(view.table).schema
    for name in view.features:
        kind = Int64 if pa.types.is_int64(schema.field(name).type) else Float64
        yield Field(name=name, dtype=kind, description=_doc(view, name))


def _doc(view: View, column: str) -> str:
    return declared(view.table).doc(column)
