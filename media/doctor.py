"""What may be wrong with the kept sentence model, for ``bin/nexus doctor``.

Belongs here: the cache of media.text. Does not belong here: vectors (they are in the database).
"""

from __future__ import annotations

from collections.abc import Iterator

from media.text import cache
from nexus.doctor.finding import Finding
from nexus.runtime.home import Home
from nexus.settings import Settings


def findings(home: Home, _user: Settings) -> Iterator[Finding]:
    """Whether the sentence model's file is the one that was made."""
    folder = home.root / "models"
    path = cache.model_path(folder)
    if not path.exists():
        return
    if cache.is_whole(path):
        yield Finding("sentence model", path.name)
        return

    def remake() -> str:
        cache.ensure(folder)
        return f"{path.name} was made anew"

    remedy = "run bin/nexus doctor --fix; else it is made anew when it is next needed"
    yield Finding("sentence model", "its file is damaged", remedy, mend=remake)
