"""The ring of keys: what it encrypts stays readable, to itself, to other processes, and to nobody else."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.errors import Category, NexusError
from nexus.keyring import FILE, Keyring
from nexus.manifest_key import ManifestKey, is_signed
from nexus.settings import ROOT, Settings

pytestmark = pytest.mark.unit

PASSWORD = "5a" * 20
CHOSEN = "correct horse battery staple"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring(tmp_path_factory.mktemp("ring") / FILE, PASSWORD)


@given(plain=st.binary(max_size=2_000), aad=st.binary(max_size=100))
def test_keyring__any_bytes__come_back_only_for_their_purpose(ring: Keyring, plain: bytes, aad: bytes) -> None:
    blob = ring.encrypt(plain, aad=aad)
    assert ring.decrypt(blob, aad=aad) == plain
    with pytest.raises(NexusError) as refused:
        ring.decrypt(blob, aad=aad + b"x")
    assert refused.value.category is Category.INVALID


@given(data=st.data())
def test_keyring__changed_blob__is_refused(ring: Keyring, data: st.DataObject) -> None:
    blob = bytearray(ring.encrypt(b"something", aad=b"a"))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(NexusError):
        ring.decrypt(bytes(blob), aad=b"a")


@given(st.binary(max_size=60))
def test_keyring__bytes_of_somebody_else__are_refused_without_a_crash(ring: Keyring, blob: bytes) -> None:
    with pytest.raises(NexusError):
        ring.decrypt(blob, aad=b"")


def test_keyring__every_state__does_what_it_says(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / FILE, PASSWORD)
    first, old = ring.active_id(), ring.encrypt(b"old", aad=b"")
    second = ring.make()
    assert ring.active_id() == first
    ring.activate(second)
    ring.activate(second)
    assert (ring.active_id(), ring.key_id_of(ring.encrypt(b"", aad=b""))) == (second, second)
    assert {key.id: key.state for key in ring.list()} == {first: "retired", second: "active"}
    ring.retire(first)
    assert ring.decrypt(old, aad=b"") == b"old"
    for wrong in (lambda: ring.retire(second), lambda: ring.destroy(second)):
        with pytest.raises(NexusError) as refused:
            wrong()
        assert refused.value.category is Category.CONFLICT
    ring.destroy(first)
    ring.destroy(first)
    with pytest.raises(NexusError) as gone:
        ring.decrypt(old, aad=b"")
    assert gone.value.category is Category.NOT_FOUND
    with pytest.raises(NexusError, match="destroyed"):
        ring.activate(first)
    with pytest.raises(NexusError) as unknown:
        ring.activate("abcdef012345")
    assert unknown.value.category is Category.NOT_FOUND


def test_keyring__changed_by_another_process__is_noticed_at_once(tmp_path: Path) -> None:
    mine, other = Keyring(tmp_path / FILE, PASSWORD), Keyring(tmp_path / FILE, PASSWORD)
    for number in range(20):
        other.activate(other.make())
        assert mine.decrypt(other.encrypt(b"%d" % number, aad=b""), aad=b"") == b"%d" % number
        assert mine.active_id() == other.active_id()


def test_keyring__made_by_many_at_once__is_one_ring(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nexus.keyring import Keyring;"
        "ring = Keyring(Path(sys.argv[1]), sys.argv[2]); print(ring.active_id()); ring.make()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / FILE), PASSWORD]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert len(set(said)) == 1
    assert len(Keyring(tmp_path / FILE, PASSWORD).list()) == 5


def test_keyring__rotated_under_readers__never_fails_them(tmp_path: Path) -> None:
    rings = [Keyring(tmp_path / FILE, PASSWORD) for _ in range(4)]

    def work(ring: Keyring) -> int:
        return sum(ring.decrypt(rings[0].encrypt(b"x", aad=b""), aad=b"") == b"x" for _ in range(200))

    with ThreadPoolExecutor(5) as pool:
        working = [pool.submit(work, ring) for ring in rings]
        for _ in range(15):
            rings[1].activate(rings[1].make())
        assert [one.result() for one in working] == [200] * 4


@pytest.mark.parametrize("password", [PASSWORD, CHOSEN])
def test_keyring__wrong_password__is_forbidden_and_changes_nothing(tmp_path: Path, password: str) -> None:
    ring = Keyring(tmp_path / FILE, password)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(NexusError) as refused:
        Keyring(tmp_path / FILE, "another")
    assert (refused.value.category, refused.value.field) == (Category.FORBIDDEN, "keys.password")
    assert "another" not in str(refused.value)
    assert (tmp_path / FILE).read_bytes() == before
    assert Keyring(tmp_path / FILE, password).active_id() == ring.active_id()


def test_keyring__another_password__opens_what_was_encrypted_before(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / FILE, PASSWORD)
    blob = ring.encrypt(b"kept", aad=b"")
    ring.change_password(CHOSEN)
    assert ring.decrypt(blob, aad=b"") == b"kept"
    assert Keyring(tmp_path / FILE, CHOSEN).decrypt(blob, aad=b"") == b"kept"
    with pytest.raises(NexusError):
        Keyring(tmp_path / FILE, PASSWORD)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["keys"][next(iter(found["keys"]))].update(state="retired"),
        lambda found: found.update(generation=99),
        lambda found: found["keys"].update(abc=dict(next(iter(found["keys"].values())))),
        lambda found: found.pop("mac"),
        lambda found: found.update(keys=[]),
    ],
)
def test_keyring__file_changed_by_hand__is_called_broken(tmp_path: Path, change: object) -> None:
    Keyring(tmp_path / FILE, PASSWORD)
    path = tmp_path / FILE
    found = json.loads(path.read_text())
    change(found)  # type: ignore[operator]
    path.write_text(json.dumps(found))
    with pytest.raises(NexusError, match="broken"):
        Keyring(path, PASSWORD)


def test_keyring__older_file_put_back__is_refused_by_who_saw_the_newer_one(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / FILE, PASSWORD)
    older = (tmp_path / FILE).read_text()
    ring.activate(ring.make())
    ring.active_id()
    (tmp_path / FILE).write_text(older)
    with pytest.raises(NexusError, match="older"):
        ring.active_id()


def test_keyring__its_files__are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, keys={"password": PASSWORD})
    ring = Keyring.open(settings)
    key = ManifestKey(tmp_path / "keys" / "manifest.json", ring)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys" / "manifest.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert PASSWORD not in (tmp_path / FILE).read_text()
    assert key.public_key in (tmp_path / "keys" / "manifest.json").read_text()


def test_keyring__without_a_password__says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(NexusError, match="no password") as refused:
        Keyring.open(Settings(home=tmp_path))
    assert refused.value.field == "keys.password"


def test_manifest_key__rewrapped__signs_as_before(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / FILE, PASSWORD)
    key = ManifestKey(tmp_path / "manifest.json", ring)
    signature = key.sign(b"said")
    ring.activate(ring.make())
    key.rewrap()
    again = ManifestKey(tmp_path / "manifest.json", ring)
    assert (again.public_key, again.sign(b"said")) == (key.public_key, signature)
    assert is_signed(b"said", signature, key.public_key)
    assert not is_signed(b"said!", signature, key.public_key)
    assert not is_signed(b"said", "no hex", key.public_key)
