"""What a source can do wrong, told apart: lies (put out at once) from mere failures (asked again later), and both counted.

Belongs here: the two errors and the counters. Does not belong here: who is asked next (rotation).
"""

from __future__ import annotations

from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter

from nexus.errors import Category, NexusError

Reason = Literal["wrong_bytes", "truncated", "html", "not_a_car", "too_large", "unasked_block"]


class Refused(NexusError):  # noqa: N818 said as it is
    """An answer that is not the content that was asked for; the source is not trusted again soon."""

    def __init__(self, source: str, reason: Reason, detail: str) -> None:
        super().__init__(
            f"{source} gave an answer that is not what was asked for: {detail}",
            category=Category.UNAVAILABLE,
            remedy="another source is asked by itself; leave this one out of web3.gateways if it goes on",
            source=source,
            reason=reason,
        )
        self.source = source
        self.reason: Reason = reason


def no_answer(source: str, detail: str, **evidence: Any) -> NexusError:
    """A source that has nothing or does not answer; it may later."""
    return NexusError(
        f"{source}: {detail}",
        category=Category.UNAVAILABLE,
        remedy="another source is asked by itself",
        source=source,
        **evidence,
    )


class Figures:
    """Counters of retrieval; one set a process, in the registry that it is given."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.registry = registry
        self.refused = Counter(
            "nexus_ipfs_refused", "Answers that were not what was asked for.", ("source", "reason"), registry=registry
        )
        self.failed = Counter("nexus_ipfs_failed", "Requests without an answer.", ("source",), registry=registry)
        self.blocks = Counter(
            "nexus_ipfs_blocks", "Blocks taken after their hash was checked.", ("source",), registry=registry
        )
