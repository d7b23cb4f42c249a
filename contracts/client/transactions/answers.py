"""What a node's answer to signed bytes means.

Belongs here: the one place that reads the words of nodes; JSON-RPC has no codes for these, geth, anvil, Erigon,
Nethermind and Besu only have sentences. Does not belong here: what follows. No answer ends a transaction: what counts
is what stands in blocks, so a node that lies here costs time and nothing else.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from contracts.client.rpc.errors import Answered, Indeterminate


class Answer(StrEnum):
    """The kinds of answers."""

    TAKEN = "taken"
    """It has it, now or from before."""
    NONCE_USED = "nonce used"
    """The nonce is used: by us (a receipt will tell) or by somebody else."""
    OUTBID = "outbid"
    """Another transaction of this nonce waits there, and ours pays too little to replace it."""
    TOO_CHEAP = "too cheap"
    """It pays too little to be taken at all."""
    NO_FUNDS = "no funds"
    LATER = "later"
    """The pool is full, or wants earlier nonces first."""
    REFUSED = "refused"
    """Anything else that a node says."""
    UNKNOWN = "unknown"
    """Nobody knows."""


# In this order: "replacement transaction underpriced" before "underpriced".
_WORDS: Final[tuple[tuple[Answer, tuple[str, ...]], ...]] = (
    (Answer.TAKEN, ("already known", "already imported", "known transaction", "alreadyknown", "already in pool")),
    (Answer.NONCE_USED, ("nonce too low", "oldnonce", "nonce is too low", "nonce has already been used")),
    (Answer.OUTBID, ("replacement", "could not replace", "gas price bump")),
    (
        Answer.TOO_CHEAP,
        ("underpriced", "fee too low", "feetoolow", "less than block base fee", "below", "tip cap too low"),
    ),
    (Answer.NO_FUNDS, ("insufficient funds", "insufficient balance", "insufficientfunds")),
    (
        Answer.LATER,
        ("txpool is full", "pool is full", "nonce too high", "nonce gap", "limit exceeded", "too many", "future"),
    ),
)


def read(outcome: Any) -> Answer:
    """What an outcome of ``eth_sendRawTransaction`` means; a hash means taken."""
    if isinstance(outcome, Indeterminate):
        return Answer.UNKNOWN
    if isinstance(outcome, Answered):
        return of_words(outcome.message)
    return Answer.TAKEN if isinstance(outcome, str) and outcome.startswith("0x") else Answer.UNKNOWN


def of_words(words: str) -> Answer:
    """What a node's sentence means."""
    said = words.lower()
    return next((answer for answer, phrases in _WORDS if any(phrase in said for phrase in phrases)), Answer.REFUSED)


def words_of(outcome: Any) -> str | None:
    """What was said, shortened; None for a plain yes."""
    return str(outcome)[:500] if isinstance(outcome, Answered | Indeterminate) else None
