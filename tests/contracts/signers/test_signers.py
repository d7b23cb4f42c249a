"""One behaviour for both places that hold keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import coincurve
import httpx
import pytest
from pydantic import SecretStr

from contracts.client.signers.curve import ORDER, address_of, keccak
from contracts.client.signers.keystore import Keystore
from contracts.client.signers.model import Signers
from contracts.client.signers.opened import open_signers
from contracts.client.signers.remote import RemoteSigner
from nexus.errors import Category, NexusError
from nexus.keyring import Keyring
from nexus.settings import Settings
from tests.contracts.signers.conftest import PASSWORD, TOKEN

pytestmark = pytest.mark.integration
TX = {
    "chainId": 31337, "nonce": 3, "maxPriorityFeePerGas": 10**9, "maxFeePerGas": 10**10, "gas": 60_000,
    "to": "0x" + "11" * 20, "value": 5, "data": b"abc",
}  # fmt: skip


async def test_sign__made_key__the_transaction_is_its(signers: Signers) -> None:
    from eth_account import Account

    address = await signers.make("minter")
    signed = await signers.signer(address).sign(TX)
    assert address == address.lower()
    assert str(Account.recover_transaction(signed.raw)).lower() == address
    assert signed.hash == "0x" + keccak(signed.raw).hex()


async def test_sign_many__several__in_their_order_and_the_same_each_time(signers: Signers) -> None:
    signer = signers.signer(await signers.make("minter"))
    txs = [TX | {"nonce": nonce} for nonce in range(300)]
    first = await signer.sign_many(txs)
    assert first == await signer.sign_many(txs)
    assert first[7] == await signer.sign(txs[7])
    assert len({one.hash for one in first}) == 300


async def test_sign_digest__thirty_two_bytes__r_low_s_v(signers: Signers) -> None:
    address = await signers.make("minter")
    digest = keccak(b"what the caller hashed")
    found = await signers.signer(address).sign_digest(digest)
    public = coincurve.PublicKey.from_signature_and_message(found[:64] + bytes([found[64] - 27]), digest, hasher=None)
    assert len(found) == 65
    assert found[64] in {27, 28}
    assert int.from_bytes(found[32:64], "big") <= ORDER // 2
    assert address_of(public) == address


async def test_list__keys_that_were_made__all_with_their_roles(signers: Signers) -> None:
    made = [await signers.make("minter"), await signers.make("admin")]
    listed = [(key.address, key.role) for key in await signers.list()]
    assert listed[-2:] == [(made[0], "minter"), (made[1], "admin")]


async def test_signer__unknown_address__is_not_found(signers: Signers) -> None:
    with pytest.raises(NexusError) as caught:
        await signers.signer("0x" + "11" * 20).sign(TX)
    assert caught.value.category is Category.NOT_FOUND


# --- keystore --------------------------------------------------------------------------------------------------------


async def test_keystore__opened_again__has_its_keys_in_files_for_nobody_else(
    keystore: Keystore, tmp_path: Path
) -> None:
    address = await keystore.make("minter")
    again = Keystore(tmp_path / "keys", Keyring(tmp_path / "keyring.json", PASSWORD))
    file = tmp_path / "keys" / f"{address}.json"
    assert await again.signer(address).sign(TX) == await keystore.signer(address).sign(TX)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]


async def test_keystore__wrong_password__one_clear_error(keystore: Keystore, tmp_path: Path) -> None:
    await keystore.make("minter")
    with pytest.raises(NexusError) as caught:
        Keystore(tmp_path / "keys", Keyring(tmp_path / "keyring.json", "ef" * 20))
    assert caught.value.category is Category.FORBIDDEN
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"secret": "AAAA"}, {"secret": "?"}, {"version": 2}, {"address": "0x" + "22" * 20}, None]
)
async def test_keystore__damaged_file__is_refused_and_named(
    keystore: Keystore, tmp_path: Path, change: dict[str, Any] | None
) -> None:
    address = await keystore.make("minter")
    file = tmp_path / "keys" / f"{address}.json"
    file.write_text("{" if change is None else json.dumps(json.loads(file.read_text()) | change))
    again = Keystore(tmp_path / "keys", Keyring(tmp_path / "keyring.json", PASSWORD))
    with pytest.raises(NexusError) as caught:
        again.signer(address)
    assert caught.value.category is Category.INVALID
    assert caught.value.remedy


async def test_keystore__file_under_another_name__does_not_sign_for_it(keystore: Keystore, tmp_path: Path) -> None:
    one, other = await keystore.make("minter"), await keystore.make("minter")
    folder = tmp_path / "keys"
    stolen = json.loads((folder / f"{one}.json").read_text()) | {"address": other}
    (folder / f"{other}.json").write_text(json.dumps(stolen))
    again = Keystore(folder, Keyring(tmp_path / "keyring.json", PASSWORD))
    with pytest.raises(NexusError):
        again.signer(other)


async def test_rewrap__keyring_was_rotated__files_are_under_the_new_key_and_sign_the_same(
    keystore: Keystore, tmp_path: Path
) -> None:
    ring = Keyring(tmp_path / "keyring.json", PASSWORD)
    address = await keystore.make("minter")
    before = await keystore.signer(address).sign(TX)
    old, new = ring.active_id(), ring.make()
    ring.activate(new)
    assert keystore.rewrap() == keystore.rewrap() == 1
    ring.destroy(old)
    again = Keystore(tmp_path / "keys", Keyring(tmp_path / "keyring.json", PASSWORD))
    assert await again.signer(address).sign(TX) == before


def test_keep__a_key_that_exists__is_kept_once(keystore: Keystore, tmp_path: Path) -> None:
    secret = int("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80", 16)
    assert keystore.keep(secret, "minter") == "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    file = tmp_path / "keys" / "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266.json"
    before = file.read_text()
    keystore.keep(secret, "minter")
    assert file.read_text() == before
    with pytest.raises(NexusError, match="no secp256k1 key"):
        keystore.keep(0, "minter")


def test_keep_json__wallets_key_file__right_and_wrong_password(keystore: Keystore) -> None:
    from eth_keyfile.keyfile import create_keyfile_json

    document = create_keyfile_json(bytes(31) + b"\x07", b"right", kdf="pbkdf2", iterations=2)
    with pytest.raises(NexusError) as caught:
        keystore.keep_json(document, "wrong", "minter")
    assert (caught.value.category, caught.value.field) == (Category.FORBIDDEN, "password")
    assert keystore.keep_json(document, "right", "minter").startswith("0x")
    with pytest.raises(NexusError, match="no version 3 key file"):
        keystore.keep_json({"version": 3}, "right", "minter")


# --- the service -----------------------------------------------------------------------------------------------------


async def test_remote__wrong_token__says_so(service: str) -> None:
    signers = RemoteSigner(service, SecretStr("another token of that length"))
    with pytest.raises(NexusError) as caught:
        await signers.make("minter")
    await signers.close()
    assert (caught.value.category, caught.value.field) == (Category.FORBIDDEN, "web3.signer_token")


async def test_remote__service_is_away__may_be_tried_again() -> None:
    signers = RemoteSigner("http://127.0.0.1:9", SecretStr(TOKEN), timeout_s=1)
    with pytest.raises(NexusError) as caught:
        await signers.signer("0x" + "11" * 20).sign(TX)
    await signers.close()
    assert caught.value.retryable


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"signatures": []}),
        httpx.Response(200, json={"signatures": [{"r": "0x1"}]}),
        httpx.Response(200, json={"signatures": [{"r": "0x1", "s": "0x1"}]}),
        httpx.Response(502),
    ],
)
async def test_remote__service_talks_nonsense__nothing_is_signed(answer: httpx.Response) -> None:
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer))
    signers = RemoteSigner("http://service", SecretStr(TOKEN), http=http)
    with pytest.raises(NexusError) as caught:
        await signers.signer("0x" + "11" * 20).sign(TX)
    await signers.close()
    assert caught.value.category in {Category.UNAVAILABLE, Category.INTERNAL}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/keys", {"role": "Not A Role"}, 422),
        ("POST", "/keys", {}, 422),
        ("POST", "/keys", [], 422),
        ("POST", "/keys/0x" + "11" * 20 + ":sign", {"digests": ["0x" + "22" * 32]}, 404),
        ("POST", "/keys/0x" + "11" * 20 + ":sign", {"digests": ["0x22"]}, 422),
        ("POST", "/keys/0x" + "11" * 20 + ":sign", {"digests": ["0x" + "22" * 32] * 300}, 422),
        ("POST", "/keys/0x" + "11" * 20 + ":sign", {"digest": "0x" + "22" * 32}, 422),
        ("GET", "/keys/0x" + "11" * 20, None, 404),
        ("DELETE", "/keys", None, 404),
        ("GET", "/../etc/passwd", None, 404),
    ],
)
def test_service__bad_request__is_refused(service: str, method: str, path: str, body: Any, status: int) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.request(method, service + path, json=body, headers=headers, trust_env=False)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic " + TOKEN}])
def test_service__without_its_token__answers_nobody(service: str, header: dict[str, str]) -> None:
    assert httpx.get(f"{service}/keys", headers=header, trust_env=False).status_code == 401


def test_open_signers__settings_name_a_service__needs_its_token(tmp_path: Path) -> None:
    named = {"signer_url": "http://127.0.0.1:1"}
    with pytest.raises(NexusError) as caught:
        open_signers(Settings(home=tmp_path, web3=named))
    assert caught.value.field == "web3.signer_token"
    assert isinstance(open_signers(Settings(home=tmp_path, web3=named | {"signer_token": TOKEN})), RemoteSigner)
    assert isinstance(open_signers(Settings(home=tmp_path, keys={"password": PASSWORD})), Keystore)
