"""A bundle that is not whole is never read."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nexus.errors import NexusError
from training import bundle
from training.bundle_format import (
    INPUTS,
    MANIFEST_FILE,
    MODEL_FILE,
    OUTPUTS,
    PARTS,
    POINTER_FILE,
    VOCABULARY_FILE,
    WHOLE_INPUTS,
    Manifest,
    bundle_folder,
    is_served_form,
    read_bundle,
    read_champion,
    read_pointer,
    write_pointer,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = bundle_folder(tmp_path, "3")
    folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_bytes(b"onnx" * 1000)
    manifest = Manifest(
        version="3", model_name="m", created_at=datetime.now(UTC), data_hash="x", history_length=5, files={}
    )
    bundle.assemble(folder, manifest, ["", "a", "b"])
    write_pointer(tmp_path, "3")
    return tmp_path


def test_read_champion__whole_bundle__gives_its_parts(home: Path) -> None:
    found = read_champion(home)
    assert (found.version, found.vocabulary, found.manifest.titles) == ("3", ("", "a", "b"), 2)


@pytest.mark.parametrize("name", [MODEL_FILE, VOCABULARY_FILE, MANIFEST_FILE])
@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_read_bundle__damaged_file__is_refused_with_a_remedy(home: Path, name: str, damage: str) -> None:
    path = bundle_folder(home, "3") / name
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(NexusError, match=r"models (rollback|promote)"):
        read_bundle(bundle_folder(home, "3"))


def test_read_bundle__vocabulary_without_padding__is_refused(home: Path) -> None:
    folder = bundle_folder(home, "3")
    manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    with pytest.raises(NexusError, match="padding"):
        bundle.assemble(folder, manifest, ["a", "b"])


@pytest.mark.parametrize("version", ["", "../3", "a/b", ".hidden", "x" * 65])
def test_bundle_folder__version_that_is_no_name__is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(NexusError, match="version"):
        bundle_folder(tmp_path, version)


def test_read_pointer__before_the_first_promotion__is_none(tmp_path: Path) -> None:
    assert read_pointer(tmp_path) is None
    with pytest.raises(NexusError, match="promoted"):
        read_champion(tmp_path)


def test_read_pointer__half_a_file__is_refused(home: Path) -> None:
    (home / POINTER_FILE).write_text('{"versi')
    with pytest.raises(NexusError, match="not a pointer"):
        read_pointer(home)


def test_write_pointer__again__leaves_no_temporary_file(home: Path) -> None:
    write_pointer(home, "4")
    assert json.loads((home / POINTER_FILE).read_text()) == {"version": "4"}
    assert sorted(path.name for path in home.iterdir()) == [POINTER_FILE, "models"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "is_one"),
    [
        (INPUTS, OUTPUTS, True),
        (INPUTS, (*OUTPUTS, PARTS), True),
        (WHOLE_INPUTS, OUTPUTS, False),
        (INPUTS, OUTPUTS[:1], False),
        (INPUTS, (*OUTPUTS, "attention"), False),
    ],
)
def test_is_served_form__with_and_without_parts__of_today_only(
    inputs: tuple[str, ...], outputs: tuple[str, ...], is_one: bool
) -> None:
    assert is_served_form(inputs, outputs) is is_one
