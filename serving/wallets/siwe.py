"""Messages of Sign-In with Ethereum (EIP-4361): reading them by the letter of its grammar, and writing them.

What :func:`parse` takes has exactly one reading: ``str(parse(text)) == text`` for every text. Nothing is trimmed,
folded or guessed, because the person's wallet showed these very characters.
Does not belong here: whether a message is acceptable here and now (rules), signatures (evm).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nexus.errors import invalid
from serving.wallets import evm

LONGEST: Final = 4_000
_HEADER: Final = " wants you to sign in with your Ethereum account:"

# RFC 3986, appendix A. The character classes of one repetition never overlap with what follows it: no backtracking.
_PCT = r"%[0-9A-Fa-f]{2}"
_UNRESERVED = r"A-Za-z0-9\-._~"
_SUB = r"!$&'()*+,;="
_PCHAR = rf"(?:[{_UNRESERVED}{_SUB}:@]|{_PCT})"
_USERINFO = rf"(?:[{_UNRESERVED}{_SUB}:]|{_PCT})*"
_HOST = rf"(?:\[[0-9A-Fa-f:.]{{2,45}}\]|(?:[{_UNRESERVED}{_SUB}]|{_PCT})+)"
_AUTHORITY = rf"(?:{_USERINFO}@)?{_HOST}(?::[0-9]{{0,5}})?"
_SCHEME = r"[A-Za-z][A-Za-z0-9+\-.]*"
_URI = rf"{_SCHEME}:(?://(?:{_AUTHORITY})?(?:/{_PCHAR}*)*|/?(?:{_PCHAR}+(?:/{_PCHAR}*)*)?)(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?"
_STATEMENT = rf"[{_UNRESERVED}{_SUB}:/?#\[\]@ ]+"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"

_LINES: Final = re.compile(
    rf"(?:(?P<scheme>{_SCHEME})://)?(?P<domain>{_AUTHORITY}){_HEADER}\n"
    r"(?P<address>0x[0-9A-Fa-f]{40})\n"
    r"\n"
    rf"(?:(?P<statement>{_STATEMENT})\n)?"
    r"\n"
    rf"URI: (?P<uri>{_URI})\n"
    r"Version: (?P<version>1)\n"
    r"Chain ID: (?P<chain_id>[0-9]{1,20})\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,128})\n"
    rf"Issued At: (?P<issued_at>{_TIME})"
    rf"(?:\nExpiration Time: (?P<expiration_time>{_TIME}))?"
    rf"(?:\nNot Before: (?P<not_before>{_TIME}))?"
    rf"(?:\nRequest ID: (?P<request_id>{_PCHAR}*))?"
    rf"(?:\nResources:(?P<resources>(?:\n- {_URI})*))?"
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. Times stay as they were written; see :func:`moment`."""

    domain: str
    address: str
    uri: str
    chain_id: str
    nonce: str
    issued_at: str
    version: str = "1"
    scheme: str | None = None
    statement: str | None = None
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None

    def __str__(self) -> str:
        lines = [
            f"{self.scheme}://{self.domain}{_HEADER}" if self.scheme else f"{self.domain}{_HEADER}",
            self.address,
            "",
            *([] if self.statement is None else [self.statement]),
            "",
            f"URI: {self.uri}",
            f"Version: {self.version}",
            f"Chain ID: {self.chain_id}",
            f"Nonce: {self.nonce}",
            f"Issued At: {self.issued_at}",
        ]
        optional = (
            ("Expiration Time", self.expiration_time),
            ("Not Before", self.not_before),
            ("Request ID", self.request_id),
        )
        lines += [f"{name}: {value}" for name, value in optional if value is not None]
        if self.resources is not None:
            lines += ["Resources:", *(f"- {one}" for one in self.resources)]
        return "\n".join(lines)


def parse(text: str) -> Message:
    """Read a message.

    Raises:
        NexusError: ``invalid`` when it departs from the grammar in a single character, has a time that does not
            exist, or an address without its EIP-55 case.
    """
    found = _LINES.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise _refused("it does not follow the grammar of EIP-4361", text)
    parts = found.groupdict()
    listed = parts.pop("resources")
    resources = None if listed is None else tuple(one[2:] for one in listed.split("\n")[1:])
    message = Message(**parts, resources=resources)
    if evm.checksum(message.address) != message.address:
        raise _refused("its address is not written as EIP-55 says", message.address)
    for time in (message.issued_at, message.expiration_time, message.not_before):
        if time is not None:
            moment(time)
    return message


def moment(text: str) -> datetime:
    """A time of a message.

    Raises:
        NexusError: ``invalid`` for a day, hour or leap second that the calendar does not have.
    """
    date, clock = text.split("T")
    clock = re.sub(r"\.([0-9]{1,9})", lambda digits: f".{digits[1][:6]:0<6}", clock)
    try:
        return datetime.fromisoformat(f"{date}T{clock}")
    except ValueError:
        raise _refused("it has a time that does not exist", text) from None


def _refused(reason: str, value: str) -> Exception:
    return invalid(
        f"that is no sign-in message: {reason}",
        field="message",
        value=value,
        remedy="ask for one with POST /v1/wallets/nonce and sign it as it is",
    )
