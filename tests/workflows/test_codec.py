"""What workflows carry is encrypted on the server and readable to us: old and new payloads, on both sides."""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from assets.adapters import payloads as assets_side
from nexus.errors import Category, NexusError
from nexus.keyring import Keyring
from nexus.payload_cipher import ENCODING, PayloadCipher
from nexus.settings import Settings
from tests.workflows.web3 import Mints
from workflows import codec
from workflows.client import describe_operation
from workflows.messages import IngestRequest
from workflows.web3_client import start_rotate_keys, wait_for
from workflows.worker import WORKFLOWS

REQUEST = IngestRequest(content_id="00000000-0000-4000-8000-000000000001", title="A secret title")


@pytest.fixture
def sealed(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, keys={"password": secrets.token_hex(20)})


@pytest.mark.unit
async def test_codec__a_message__is_encrypted_and_comes_back(sealed: Settings) -> None:
    converter = codec.data_converter(sealed)
    (payload,) = await converter.encode([REQUEST])
    assert payload.metadata["encoding"] == ENCODING
    assert payload.metadata["encryption-key-id"].decode() == Keyring.open(sealed).active_id()
    assert b"secret" not in payload.SerializeToString()
    assert await converter.decode([payload], [IngestRequest]) == [REQUEST]


@pytest.mark.unit
async def test_codec__keys_rotated_and_retired__older_payloads_stay_readable(sealed: Settings) -> None:
    converter, ring = codec.data_converter(sealed), Keyring.open(sealed)
    kept: list[Payload] = []
    for _ in range(5):
        kept += await converter.encode([REQUEST])
        ring.activate(ring.make())
    assert len({payload.metadata["encryption-key-id"] for payload in kept}) == 5
    assert await converter.decode(kept, [IngestRequest] * 5) == [REQUEST] * 5


@pytest.mark.unit
async def test_codec__unencrypted_payload__is_read_as_it_is(sealed: Settings) -> None:
    plain = await pydantic_data_converter.encode([REQUEST])
    assert await codec.data_converter(sealed).decode(plain, [IngestRequest]) == [REQUEST]


@pytest.mark.unit
@pytest.mark.parametrize("side", [codec, assets_side])
async def test_codec__switched_off_later__still_reads_what_was_encrypted(sealed: Settings, side: Any) -> None:
    kept = await codec.data_converter(sealed).encode([REQUEST])
    keys = sealed.keys.model_copy(update={"encrypt_payloads": False})
    off = side.data_converter(sealed.model_copy(update={"keys": keys}))
    assert IngestRequest.model_validate((await off.decode(kept))[0]) == REQUEST
    (plain,) = await off.encode([{"a": 1}])
    assert plain.metadata["encoding"] == b"json/plain"


@pytest.mark.unit
async def test_codec__both_sides_of_the_house__read_each_other(sealed: Settings) -> None:
    ours, theirs = codec.data_converter(sealed), assets_side.data_converter(sealed)
    (there,) = await theirs.encode([REQUEST.model_dump(mode="json")])
    assert there.metadata["encoding"] == ENCODING
    assert await ours.decode([there], [IngestRequest]) == [REQUEST]
    assert await theirs.decode(await ours.encode([REQUEST])) == [REQUEST.model_dump(mode="json")]


@pytest.mark.unit
async def test_codec__another_installation_s_ring__cannot_read_it(sealed: Settings, tmp_path: Path) -> None:
    payloads = await codec.data_converter(sealed).encode([REQUEST])
    other = sealed.model_copy(update={"home": tmp_path / "other"})
    with pytest.raises(NexusError) as refused:
        await codec.data_converter(other).decode(payloads, [IngestRequest])
    assert refused.value.category is Category.NOT_FOUND


@pytest.mark.unit
@pytest.mark.parametrize("keys", [{}, {"password": "x" * 20, "encrypt_payloads": False}])
async def test_codec__switched_off_or_without_password__encrypts_nothing(tmp_path: Path, keys: object) -> None:
    settings = Settings(home=tmp_path, keys=keys)
    assert PayloadCipher.of(settings) is None
    (payload,) = await codec.data_converter(settings).encode([REQUEST])
    assert payload.metadata["encoding"] == b"json/plain"
    assert not (tmp_path / "keys").exists()


@pytest.mark.integration
async def test_codec__a_workflow_s_history__holds_nothing_readable_and_replays(mints: Mints) -> None:
    async with mints.workers():
        operation_id = await start_rotate_keys(mints.client, mints.settings, "a secret reason")
        result = await wait_for(mints.client, operation_id)
        steps = (await describe_operation(mints.client, operation_id)).steps
    assert [step.name for step in steps] == ["make", "activate", "rewrap", "retire"]
    history = await mints.client.get_workflow_handle(operation_id).fetch_history()
    raw = history.to_json()
    assert "secret reason" not in raw
    assert result["active"] not in raw.replace('"encryption-key-id"', "")
    converter = codec.data_converter(mints.settings)
    await Replayer(workflows=WORKFLOWS, data_converter=converter).replay_workflow(history)
    with pytest.raises(Exception, match="binary/encrypted"):
        await Replayer(
            workflows=WORKFLOWS, data_converter=dataclasses.replace(converter, payload_codec=None)
        ).replay_workflow(WorkflowHistory.from_json(operation_id, raw))
