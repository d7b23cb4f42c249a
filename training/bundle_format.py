"""The form in which a model leaves training and enters serving: a folder, its manifest, and one pointer.

``<bundle_url>/models/<version>/`` holds ``model.onnx``, ``vocabulary.json``, ``bundle.json`` (which lists the SHA-256 of
the others) and, in bundles of today, ``content.safetensors`` (training.content.served), which ranks titles that the model has not met;
``<bundle_url>/champion.json`` says which version is served. Serving reads this module, so it imports
nothing heavy. Does not belong here: MLflow (training.registry), where a bundle comes from (training.bundle).

The ONNX signature (batch ``B``, history ``L`` = ``history_length``, ``N`` titles, index 0 = padding, newest title at the
right, ``K`` titles whose contributions are asked for, 1 or more, as the caller likes):

==================  =========  ============  ==============================================================
input ``items``     int64      ``[B, L]``    index into ``vocabulary``; 0 = no title here
input ``values``    float32    ``[B, L]``    rating / 5; 0 when the event had none
input ``ages_days`` float32    ``[B, L]``    age of the event when asked, in days, not negative
input ``context``   float32    ``[B, F]``    viewer features in the order of ``context_features``; 0 = not known
input ``titles``    int64      ``[B, K]``    index of each title that is asked about; 0 = padding; may repeat
``scores``          float32    ``[B, N+1]``  higher is better; column 0 means nothing; ``titles`` change nothing here
``contributions``   float32    ``[B, L, K]`` what each title of the history adds to the score of each of ``titles``; 0 for
                                             padding on either side
``parts``           float32    ``[B, P, K]`` only of a hybrid: what each of its parts adds to the score of each of ``titles``;
                                             they add up to it. Their names are in the file's metadata (``nexus.parts``)
==================  =========  ============  ==============================================================

Contributions are exact where a model adds its history up (tables, the mixture). A sequence transformer does not: there a
contribution is what the score loses when the newest place may not look at that title (attention knockout,
training.sequence.net_reasons), and what several titles do only together is in none of them.

Whoever serves asks for ``scores`` first (with ``titles`` ``[[0]]``, since every input must be fed), chooses, and then asks for
``contributions`` to the few chosen titles: to all of them they would be megabytes a request. ONNX Runtime computes every output,
so a graph holds what only ``contributions`` needs in a branch that is taken when a title is asked about
(training.models.lazily). Models of before, without ``titles`` (:data:`WHOLE_INPUTS`), give ``contributions`` ``[B, L, N+1]``:
bundles of them are served, new ones are refused by the gate.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nexus.errors import Category, NexusError, invalid, not_found

MODEL_FILE = "model.onnx"
VOCABULARY_FILE = "vocabulary.json"
MANIFEST_FILE = "bundle.json"
CONTENT_FILE = "content.safetensors"
"""Not in every bundle; where it is, the manifest lists it."""
POINTER_FILE = "champion.json"
INPUTS: tuple[str, ...] = ("items", "values", "ages_days", "context", "titles")
WHOLE_INPUTS: tuple[str, ...] = INPUTS[:-1]
"""Of models that give the contributions to every title."""
OUTPUTS: tuple[str, ...] = ("scores", "contributions")
PARTS = "parts"
"""The output that a hybrid has beside these."""
PART_NAMES = "nexus.parts"
"""Metadata of an ONNX file: the names of the parts, with commas between."""
PADDING = ""
TRAINED: tuple[str, ...] = ("hybrid", "attention", "sequence")
"""Candidates that are trained: the hybrid and its two trained parts; all others are floors."""
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_served_form(inputs: tuple[str, ...], outputs: tuple[str, ...]) -> bool:
    """Whether a model of today has these inputs and outputs."""
    return inputs == INPUTS and outputs in (OUTPUTS, (*OUTPUTS, PARTS))


class Manifest(BaseModel):
    """What ``bundle.json`` says about a bundle."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    version: str
    model_name: str
    created_at: datetime
    data_hash: str = Field(description="hash of the interactions that the model was trained on")
    data_version: int | None = Field(None, description="version of the Delta table they were read from")
    kind: str = Field("hybrid", description="which candidate this is: hybrid, or the name of a floor")
    metrics: dict[str, float] = Field(default_factory=dict, description="held-out figures under the protocol")
    floors: dict[str, dict[str, float]] = Field(default_factory=dict, description="the same figures of every floor")
    protocol: str = Field("", description="how the figures were measured")
    history_length: int = Field(gt=0)
    inputs: tuple[str, ...] = INPUTS
    outputs: tuple[str, ...] = OUTPUTS
    context_features: tuple[str, ...] = ()
    titles: int = Field(0, description="titles in the vocabulary, without the padding")
    texts_hash: str = Field("", description="of the text vectors that content.safetensors was made with; empty: none")
    files: dict[str, str] = Field(description="SHA-256 of each file, by name")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files have been checked against its manifest."""

    folder: Path
    manifest: Manifest
    vocabulary: tuple[str, ...]

    @property
    def version(self) -> str:
        """The registry's name for this model."""
        return self.manifest.version

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self.folder / MODEL_FILE

    @property
    def content_path(self) -> Path | None:
        """What ranks titles that the model has not met, where the bundle has it."""
        return self.folder / CONTENT_FILE if CONTENT_FILE in self.manifest.files else None


def bundle_folder(bundle_url: str | Path, version: str) -> Path:
    """Where the bundle of a version lies.

    Raises:
        NexusError: category ``invalid`` when the version is no name of a folder.
    """
    if not _VERSION.fullmatch(version):
        raise invalid("no such form of version", field="version", value=version, remedy="write a number, as in 3")
    return Path(bundle_url) / "models" / version


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_bundle(folder: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        NexusError: ``not_found`` when there is none, ``internal`` (with the file) when it is damaged or of another form.
    """
    return read_files(folder, is_served=True)


def read_files(folder: Path, *, is_served: bool = False) -> Bundle:
    """The same of a model that has other outputs than the served ones, unless it is to be served.

    Raises:
        NexusError: as :func:`read_bundle`.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise not_found(
            "no published model", field="version", value=folder.name, remedy="run bin/nexus models promote VERSION"
        ) from None
    except ValidationError as error:
        raise damaged(folder / MANIFEST_FILE, error.errors()[0]["msg"]) from None
    if is_served and not (
        is_served_form(manifest.inputs, manifest.outputs)
        or (manifest.inputs, manifest.outputs) == (WHOLE_INPUTS, OUTPUTS)
    ):
        raise damaged(folder / MANIFEST_FILE, f"unknown signature {manifest.inputs} -> {manifest.outputs}")
    for name in {MODEL_FILE, VOCABULARY_FILE} | set(manifest.files):
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise damaged(path, "missing")
        if sha256(path) != manifest.files.get(name):
            raise damaged(path, "its SHA-256 is not the one in bundle.json")
    return Bundle(folder, manifest, _vocabulary(folder / VOCABULARY_FILE))


def _vocabulary(path: Path) -> tuple[str, ...]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        raise damaged(path, "it is no JSON") from None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise damaged(path, "it is no list of names")
    if not found or found[0] != PADDING:
        raise damaged(path, "index 0 is not the padding")
    if len(set(found)) != len(found):
        raise damaged(path, "a title stands in it twice")
    return tuple(found)


def read_pointer(bundle_url: str | Path) -> str | None:
    """The version that is served now, or None before the first promotion."""
    path = Path(bundle_url) / POINTER_FILE
    try:
        version = json.loads(path.read_bytes())["version"]
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, KeyError, TypeError):
        raise damaged(path, "not a pointer") from None
    return str(version)


def write_pointer(bundle_url: str | Path, version: str) -> None:
    """Make a published version the served one; readers see the old pointer or the new one, nothing between."""
    write_atomically(Path(bundle_url) / POINTER_FILE, {"version": version})


def read_champion(bundle_url: str | Path) -> Bundle:
    """The bundle that the pointer names, verified.

    Raises:
        NexusError: ``not_found`` before the first promotion.
    """
    version = read_pointer(bundle_url)
    if version is None:
        raise not_found(
            "no model has been promoted yet", field="bundle_url", value=bundle_url, remedy="run bin/nexus pipeline run"
        )
    return read_bundle(bundle_folder(bundle_url, version))


def write_atomically(path: Path, content: Any) -> None:
    """Write JSON so that a reader or a crash never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def damaged(path: Path, reason: str) -> NexusError:
    """The error for a bundle that must not be served."""
    return NexusError(
        f"the published model is damaged: {path.name}: {reason}",
        category=Category.INTERNAL,
        field=path.name,
        value=path,
        remedy="run bin/nexus models rollback, or promote the version again",
    )
