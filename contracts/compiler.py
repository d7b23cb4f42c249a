"""From Solidity to artifacts, and whether the committed artifacts are what the sources give.

Belongs here: installing the pinned compiler and library, compiling, the shape of an artifact, the comparison byte for byte.
Does not belong here: reading artifacts (contracts.client.artifacts), the commands (build_cli.py). Only who changes a
contract needs Node; everybody else uses what is committed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.client.artifacts import signature_of
from nexus.errors import Category, NexusError, invalid, unavailable
from nexus.runtime.fetched import fetched, npm_ci
from nexus.settings import ROOT

SETTINGS: dict[str, Any] = {
    "evmVersion": "cancun",
    # By way of Yul: 470 gas less a mint and a tenth less code than without, measured by bin/nexus contracts gas.
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 200},
    # Nothing about the machine or a comment gets into the bytecode.
    "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
}
LIBRARY = "@openzeppelin/contracts/"
TIMELOCK = LIBRARY + "governance/TimelockController.sol"
_RECIPE = ROOT / "contracts" / "build"
_NODE = "install Node.js 18 or newer with npm; only who changes a contract needs it"
_COMPILE_S = 600.0


@dataclass(frozen=True, slots=True)
class Unit:
    """Sources that are compiled together, and the file that each contract's artifact goes to.

    Attributes:
        sources: Name in imports -> file.
        library: Contracts of the library that get an artifact too.
        folder: Where the files lie.
        shared_file: One file for all artifacts, instead of one each.
        settings: The compiler's.
        imports: Sources that these import and that get no artifact here.
    """

    sources: Mapping[str, Path]
    library: tuple[str, ...]
    folder: Path
    shared_file: str | None = None
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)
    imports: Mapping[str, Path] = field(default_factory=dict)


def product() -> Unit:
    """The contracts of the platform: one artifact file each."""
    files = sorted((ROOT / "contracts" / "src").glob("*.sol"))
    return Unit({f"contracts/{path.name}": path for path in files}, (TIMELOCK,), ROOT / "contracts" / "artifacts")


def for_tests() -> Unit | None:
    """The contracts that only tests use, in one file; None where the tests are not part of the checkout."""
    folder = ROOT / "tests" / "contracts" / "solidity"
    files = sorted(folder.glob("*.sol"))
    if not files:
        return None
    # They import contracts of the platform, but get no artifact for those; the short way is enough for them.
    imports = {f"contracts/{path.name}": path for path in sorted((ROOT / "contracts" / "src").glob("*.sol"))}
    sources = {f"tests/{path.name}": path for path in files}
    return Unit(sources, (), folder, "artifacts.json", SETTINGS | {"viaIR": False}, imports)


def units() -> list[Unit]:
    """Everything that is compiled."""
    return [unit for unit in (product(), for_tests()) if unit is not None]


def build(unit: Unit) -> dict[str, bytes]:
    """Compile a unit.

    Returns:
        File name -> content, ready to be written into the unit's folder.

    Raises:
        NexusError: ``unavailable`` without Node or the registry, ``invalid`` with the compiler's own words.
    """
    modules = _modules()
    answer = _solc(modules, unit)
    made: dict[str, dict[str, Any]] = {}
    for source in (*unit.sources, *unit.library):
        for name, output in answer["contracts"].get(source, {}).items():
            if output["evm"]["bytecode"]["object"]:
                made[name] = _artifact(name, source, output, unit, modules)
    if unit.shared_file:
        return {unit.shared_file: _encoded(made)}
    return {f"{name}.json": _encoded(artifact) for name, artifact in made.items()}


def write(unit: Unit) -> list[Path]:
    """Compile a unit into its folder; artifacts of contracts that are gone go too."""
    made = build(unit)
    unit.folder.mkdir(parents=True, exist_ok=True)
    for stale in unit.folder.glob("*.json"):
        if stale.name not in made:
            stale.unlink()
    for name, content in made.items():
        (unit.folder / name).write_bytes(content)
    return [unit.folder / name for name in sorted(made)]


def differences(unit: Unit) -> list[str]:
    """Artifacts that are not byte for byte what the sources give: missing, left over, other."""
    made = build(unit)
    there = {path.name: path.read_bytes() for path in unit.folder.glob("*.json")}
    return sorted(
        f"{name}: {'missing' if name not in there else 'left over' if name not in made else 'differs'}"
        for name in made.keys() | there.keys()
        if made.get(name) != there.get(name)
    )


def _encoded(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _artifact(name: str, source: str, output: Mapping[str, Any], unit: Unit, modules: Path) -> dict[str, Any]:
    metadata, files = json.loads(output["metadata"]), {**unit.sources, **unit.imports}
    return {
        "contract": name,
        "source": source,
        "abi": output["abi"],
        "bytecode": "0x" + output["evm"]["bytecode"]["object"],
        "deployed_bytecode": "0x" + output["evm"]["deployedBytecode"]["object"],
        "functions": {signature: "0x" + selector for signature, selector in output["evm"]["methodIdentifiers"].items()},
        "errors": _hashed(output["abi"], "error", 4),
        "events": _hashed(output["abi"], "event", 32),
        "compiler": {"version": metadata["compiler"]["version"], "settings": dict(unit.settings)},
        "sources": {
            path: hashlib.sha256((files.get(path) or modules / path).read_bytes()).hexdigest()
            for path in metadata["sources"]
        },
    }


def _hashed(abi: list[dict[str, Any]], kind: str, size: int) -> dict[str, str]:
    """Signature -> the first bytes of its Keccak-256, of every entry of a kind."""
    from eth_utils.crypto import keccak

    signatures = [signature_of(entry) for entry in abi if entry["type"] == kind]
    return {signature: "0x" + keccak(text=signature)[:size].hex() for signature in signatures}


def _solc(modules: Path, unit: Unit) -> dict[str, Any]:
    chosen = ["abi", "metadata", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.methodIdentifiers"]
    texts = {name: {"content": path.read_text()} for name, path in unit.sources.items()}
    texts |= {name: {"content": (modules / name).read_text()} for name in unit.library}
    wanted = {name: {"*": chosen} for name in texts}
    texts |= {name: {"content": path.read_text()} for name, path in unit.imports.items()}
    asked = {
        "language": "Solidity",
        "sources": texts,
        "settings": {**unit.settings, "outputSelection": wanted},
    }
    words = [_program("node"), str(_RECIPE / "compile.js"), str(modules)]
    done = subprocess.run(
        words, input=json.dumps(asked), capture_output=True, text=True, timeout=_COMPILE_S, check=False
    )
    if done.returncode:
        raise NexusError(
            f"the compiler did not run: {done.stderr.strip()[-500:]}",
            category=Category.INTERNAL,
            remedy="remove .tools/contracts and try again",
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    said = [error["formattedMessage"] for error in answer.get("errors", ()) if not _is_library_warning(error)]
    if said:
        raise invalid(
            "the compiler refuses the contracts, or warns:\n" + "\n".join(said),
            field="contracts",
            value=", ".join(unit.sources),
            remedy="mend the source; a warning counts as an error",
        )
    return answer


def _is_library_warning(error: Mapping[str, Any]) -> bool:
    file = (error.get("sourceLocation") or {}).get("file", "")
    return error["severity"] == "warning" and file.startswith(LIBRARY)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise unavailable(
            f"contracts are compiled by {name}, which is not on PATH",
            remedy=_NODE,
        )
    return found


def _modules() -> Path:
    """The folder of the pinned compiler and library, installed on first use."""
    recipe = (_RECIPE / "package.json", _RECIPE / "package-lock.json")
    solc = fetched(
        "contracts", "node_modules/solc/solc.js", recipe, lambda folder: npm_ci(_RECIPE, folder, remedy=_NODE)
    )
    return solc.parents[1]
