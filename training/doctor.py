"""What may be wrong with the published model, for ``bin/nexus doctor``, and the repair of it.

Belongs here: the champion's bundle. Does not belong here: the registry's server (a part as any other).
"""

from __future__ import annotations

from collections.abc import Iterator

from nexus.doctor.finding import Finding
from nexus.errors import Category, NexusError
from nexus.runtime.home import Home
from nexus.settings import Settings, load
from training.bundle_format import read_champion


def findings(_home: Home, user: Settings) -> Iterator[Finding]:
    """Whether the champion's files are those that were published."""
    try:
        bundle = read_champion(user.bundle_url)
    except NexusError as error:
        if error.category is Category.NOT_FOUND and error.field == "bundle_url":
            yield Finding("champion model", "none yet", "run bin/nexus up, which trains one", is_warning=True)
            return
        yield Finding(
            "champion model",
            f"{error.message}; the API goes on with what it has in memory, else without a model",
            "run bin/nexus doctor --fix (or bin/nexus up), which fetches it from the registry again",
            mend=repair,
        )
        return
    yield Finding("champion model", f"version {bundle.version}, {len(bundle.vocabulary) - 1} titles")


def repair() -> str:
    """Publish the champion again from the registry, which needs MLflow; returns what was done."""
    from training import registry

    settings = load()
    name = settings.mlflow.model_name
    version = registry.aliased(registry.client(settings), name, registry.CHAMPION)
    if version is None:
        raise NexusError(
            "the registry names no champion",
            category=Category.NOT_FOUND,
            field="champion",
            remedy="run bin/nexus pipeline run, or bin/nexus models promote VERSION",
        )
    registry.promote(settings, version)
    return f"model {version} was fetched from the registry and checked"
