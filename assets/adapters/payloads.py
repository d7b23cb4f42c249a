"""What assets send to and hear from workflows, encrypted as the worker encrypts it.

Belongs here: the engine's codec for this side; assets do not import workflows, whose codec is the twin of this one.
Does not belong here: keys and ciphers (nexus.keyring, nexus.payload_cipher).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, PayloadCodec

from nexus.payload_cipher import ENCODING, KEY_ID, PayloadCipher
from nexus.settings import Settings


class SealingCodec(PayloadCodec):
    """Seals every payload; opens those that are sealed."""

    def __init__(self, cipher: PayloadCipher) -> None:
        super().__init__()
        self._cipher = cipher

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Sealed payloads."""
        if not self._cipher.is_sealing:
            return list(payloads)
        sealed = [self._cipher.seal(payload.SerializeToString()) for payload in payloads]
        return [Payload(metadata={"encoding": ENCODING, KEY_ID: key_id}, data=blob) for blob, key_id in sealed]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads as they were."""
        return [
            Payload.FromString(self._cipher.open(payload.data))
            if payload.metadata.get("encoding") == ENCODING
            else payload
            for payload in payloads
        ]


def data_converter(settings: Settings) -> DataConverter:
    """The engine's default, encrypted where this installation encrypts."""
    cipher = PayloadCipher.of(settings)
    return (
        DataConverter.default
        if cipher is None
        else dataclasses.replace(DataConverter.default, payload_codec=SealingCodec(cipher))
    )
