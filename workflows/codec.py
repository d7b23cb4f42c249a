"""Encryption of what the engine stores: arguments, results, memos and failures' details, under the keyring.

Belongs here: the engine's side of it. Payloads that are not encrypted (older ones, or written while it was off) are
read as they are. Search attributes, ids, type names and messages of failures stay readable to the server.
Does not belong here: keys and ciphers (nexus.keyring, nexus.payload_cipher).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, PayloadCodec

from nexus.payload_cipher import ENCODING, KEY_ID, PayloadCipher
from nexus.settings import Settings


class EncryptingCodec(PayloadCodec):
    """Every payload whole, its own metadata included."""

    def __init__(self, cipher: PayloadCipher) -> None:
        super().__init__()
        self._cipher = cipher

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypted payloads; the key's id beside them is for people who look."""
        if not self._cipher.is_sealing:
            return list(payloads)
        return [self._sealed(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads as they were."""
        return [self._opened(payload) for payload in payloads]

    def _sealed(self, payload: Payload) -> Payload:
        blob, key_id = self._cipher.seal(payload.SerializeToString())
        return Payload(metadata={"encoding": ENCODING, KEY_ID: key_id}, data=blob)

    def _opened(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        return Payload.FromString(self._cipher.open(payload.data))


def data_converter(settings: Settings) -> DataConverter:
    """How this installation's clients and worker read and write what workflows carry.

    Raises:
        NexusError: ``forbidden`` when the keyring's password is wrong.
    """
    cipher = PayloadCipher.of(settings)
    if cipher is None:
        return pydantic_data_converter
    return dataclasses.replace(pydantic_data_converter, payload_codec=EncryptingCodec(cipher))
