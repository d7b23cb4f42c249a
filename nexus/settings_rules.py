"""What is wrong with settings beyond the type of each: names that nobody knows, and values that contradict each other.

Belongs here: rules over a finished tree, and over the names in the environment.
Does not belong here: the tree itself (nexus.settings), anything that asks a server.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

Problem = dict[str, str]
PREFIX = "NEXUS_"
# Set by the runtime, by tests and by CI; no settings.
_OURS = ("NEXUS_PART", "NEXUS_ENDPOINTS_DIGEST", "NEXUS_DAGSTER_POSTGRES_URL", "NEXUS_NO_SKIP")
_OUR_PREFIXES = ("NEXUS_TEST_",)
_HTTP = ("http", "https")
_SCHEMES: Mapping[str, tuple[str, ...]] = {
    "postgres.url": ("postgresql", "postgres"),
    "redis.url": ("redis", "rediss"),
    "dagster.url": _HTTP,
    "mlflow.url": (*_HTTP, "sqlite", "file"),
    "api.url": _HTTP,
    "temporal.ui_url": _HTTP,
    "telemetry.otlp_endpoint": _HTTP,
    "lake.spark_url": ("sc",),
    "jellyfin.url": _HTTP,
    "web3.ipfs_url": _HTTP,
    "web3.ipfs_gateway_url": _HTTP,
    "web3.signer_url": _HTTP,
}
_FILES = ("sqlite", "file")  # MLflow without a server: tests and one-off runs
_BUCKETS = ("s3", "s3a", "gs", "az", "abfs", "abfss")
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1", ""})
_NEEDED_IN_A_CLUSTER = ("postgres.url", "redis.url", "temporal.address", "mlflow.url")
_SECRET_WORDS = ("password", "url", "secret", "token", "key", "endpoint", "address")
_LONGEST = 80
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def is_secret(field: str) -> bool:
    """Whether a value of this name is never shown."""
    return any(word in field.lower() for word in _SECRET_WORDS)


def shown(field: str, value: object) -> str:
    """A value as it may be shown."""
    if value is None:
        return ""
    if is_secret(field) or isinstance(value, dict | list | SecretStr):
        return "(hidden)"
    return str(value)[:_LONGEST]


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting's dotted name."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from leaves(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper().replace(".", "__")


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    return found[0] if found else None


def unknown_variables(environment: Mapping[str, str], model: type[BaseModel]) -> list[Problem]:
    """Variables that begin like ours and belong to no area."""
    known = {variable(field): field for field in leaves(model)}
    areas = {f"{PREFIX}{name.upper()}" for name in model.model_fields}
    found = []
    for name in sorted(environment):
        upper = name.upper()
        is_ours = upper in _OURS or upper.startswith(_OUR_PREFIXES) or upper in areas | known.keys()
        is_inside = any(upper.startswith(f"{area}__") for area in areas)  # pydantic names those itself
        if not upper.startswith(PREFIX) or is_ours or is_inside:
            continue
        meant = near(upper, known)
        found.append(
            {
                "field": name,
                "reason": "no such setting" + (f"; did you mean {meant}?" if meant else ""),
                "value": shown(name, environment[name]),
            }
        )
    return found


def contradictions(tree: Any) -> list[Problem]:
    """What does not go together, all of it. ``tree`` has the attributes of Settings."""
    return [problem for rule in _RULES for problem in rule(tree)]


def _at(tree: Any, field: str) -> Any:
    area, _, name = field.partition(".")
    value = getattr(getattr(tree, area), name)
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _problem(field: str, reason: str, value: object = None) -> Problem:
    return {"field": field, "reason": reason, "value": shown(field, value)}


def _urls(tree: Any) -> Iterator[Problem]:
    """A URL of another kind than the part speaks."""
    for field, schemes in _SCHEMES.items():
        url = _at(tree, field)
        if url is None:
            continue
        try:
            parts = urlsplit(url)
            is_named = bool(parts.hostname) or parts.scheme in _FILES
            is_right = parts.scheme in schemes and is_named and (parts.port or 1) > 0
        except ValueError:
            is_right = False
        if not is_right:
            yield _problem(field, f"no URL of the form {schemes[0]}://host:port", url)
    address = tree.temporal.address
    if address is not None:
        host, _, port = address.rpartition(":")
        if "/" in address or not host or not port.isdigit():
            yield _problem("temporal.address", "not host:port (no scheme in front)", address)


def _folders(tree: Any) -> Iterator[Problem]:
    """Tables may lie in a bucket; published models are files."""
    scheme = urlsplit(tree.lake.url or "").scheme
    if scheme and scheme not in _BUCKETS:
        yield _problem("lake.url", f"neither a folder nor a URL of {', '.join(_BUCKETS)}", tree.lake.url)
    if "://" in (tree.serving.bundle_url or ""):
        yield _problem("serving.bundle_url", "has to be a folder", tree.serving.bundle_url)
    for field in ("lake.url", "serving.bundle_url"):
        if _at(tree, field) == "":
            yield _problem(field, "is empty; leave it out to use the default")


def _ports(tree: Any) -> Iterator[Problem]:
    """Two listeners that a person gave the same port."""
    wanted: dict[int, list[str]] = defaultdict(list)
    for area in type(tree).model_fields:
        group = getattr(tree, area)
        if not isinstance(group, BaseModel):
            continue
        for name in sorted(group.model_fields_set):
            port = getattr(group, name)
            if (name == "port" or name.endswith("_port")) and isinstance(port, int) and port:
                wanted[port].append(f"{area}.{name}")
    for port, fields in sorted(wanted.items()):
        for field in fields[1:]:
            yield _problem(field, f"the same port as {fields[0]}", port)


def _databases(tree: Any) -> Iterator[Problem]:
    """Each tool keeps its tables in a database of its own."""
    seen: dict[str, str] = {}
    for name in ("dagster_database", "mlflow_database", "feast_database"):
        database = getattr(tree.postgres, name)
        if database in seen:
            yield _problem(f"postgres.{name}", f"the same database as postgres.{seen[database]}", database)
        seen[database] = name


def _cluster(tree: Any) -> Iterator[Problem]:
    """In a cluster nothing is embedded, so every server has to be named."""
    if tree.profile != "cluster":
        return
    for field in _NEEDED_IN_A_CLUSTER:
        if _at(tree, field) is None:
            yield _problem(field, "is needed in the cluster profile, which embeds nothing")
    if not tree.postgres.role_passwords:
        yield _problem("postgres.role_passwords", "are needed in the cluster profile")


def _engine(tree: Any) -> Iterator[Problem]:
    """Executors elsewhere cannot write into a folder of this machine."""
    url = tree.lake.spark_url
    if url is None:
        return
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return
    if host not in _LOCAL and urlsplit(tree.lake.url or "").scheme not in _BUCKETS and tree.profile != "cluster":
        yield _problem("lake.url", "a folder, but the engine of lake.spark_url runs on another machine", tree.lake.url)


def _training(tree: Any) -> Iterator[Problem]:
    """Wishes that no trainer can grant."""
    training = tree.training
    if not training.seeds:
        yield _problem("training.seeds", "there has to be one at least, as in [1]")
    if training.precision == "16-mixed" and training.accelerator == "cpu":
        yield _problem("training.precision", "16-mixed needs a GPU; training.accelerator is cpu", training.precision)
    if training.gpus:
        against = [f"training.accelerator is {training.accelerator}"] * (training.accelerator == "cpu")
        against += [f"the profile is {tree.profile}, and GPUs are asked of Kubernetes"] * (tree.profile != "cluster")
        if against:
            yield _problem("training.gpus", "asks for GPUs, but " + " and ".join(against), training.gpus)


def _alerts(tree: Any) -> Iterator[Problem]:
    """A signature for nobody."""
    if tree.alerts.webhook_secret is not None and tree.alerts.webhook_url is None:
        yield _problem("alerts.webhook_secret", "is set, but alerts.webhook_url is not")


def _jellyfin(tree: Any) -> Iterator[Problem]:
    """A server without a key, a key without a server, a name that means something else."""
    jellyfin = tree.jellyfin
    if jellyfin.url is not None and (jellyfin.api_key is None or not jellyfin.api_key.get_secret_value().strip()):
        yield _problem("jellyfin.api_key", "is needed with jellyfin.url; make one in Jellyfin (Dashboard, API Keys)")
    if jellyfin.url is None and jellyfin.api_key is not None:
        yield _problem("jellyfin.url", "is needed with jellyfin.api_key")
    if "@" in (jellyfin.url or ""):
        yield _problem("jellyfin.url", "holds a name or password; Jellyfin takes jellyfin.api_key", jellyfin.url)
    if jellyfin.issuer in ("nexus", "movielens", "rdatasets"):
        yield _problem("jellyfin.issuer", "is a name of the platform's own; choose another", jellyfin.issuer)


def _chain(tree: Any) -> Iterator[Problem]:
    """A chain that nobody runs, endpoints and addresses that are none."""
    web3 = tree.web3
    if web3.chain != "anvil" and not web3.rpc_urls:
        yield _problem("web3.rpc_urls", f"is needed with web3.chain={web3.chain}; only anvil is embedded")
    urls = [("web3.rpc_urls", url.get_secret_value()) for url in web3.rpc_urls]
    urls += [("web3.gateways", url) for url in web3.gateways]
    urls += [("web3.pin_services", service.url) for service in web3.pin_services]
    for field, url in urls:
        if not _is_http(url):
            yield _problem(field, "holds something that is no URL of the form https://host", url)
    for field in ("web3.media_contract", "web3.treasury"):
        address = _at(tree, field)
        if address is not None and (not _ADDRESS.fullmatch(address) or int(address, 16) == 0):
            yield _problem(field, f"no address (0x and 40 hex digits, not zero): {str(address)[:_LONGEST]}")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _HTTP and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _ownership(tree: Any) -> Iterator[Problem]:
    """Pins, signers and keys that cannot be had."""
    web3 = tree.web3
    nodes = len(web3.pin_services) + 1
    if web3.pins_required > nodes:
        said = f"more than there are: our node and {nodes - 1} of web3.pin_services"
        yield _problem("web3.pins_required", said, web3.pins_required)
    names = [service.name for service in web3.pin_services]
    if len(set(names)) < len(names):
        yield _problem("web3.pin_services", "two have the same name", ", ".join(names))
    if (web3.signer_url is None) != (web3.signer_token is None):
        lacking = "token" if web3.signer_token is None else "url"
        yield _problem(f"web3.signer_{lacking}", "web3.signer_url and web3.signer_token go together")
    if web3.domain is not None and ("/" in web3.domain or not web3.domain.strip()):
        yield _problem("web3.domain", "not a host (with :port, and nothing more)", web3.domain)
    if tree.profile == "cluster" and web3.enabled:
        for field in ("web3.rpc_urls", "web3.ipfs_url", "keys.password"):
            if not _at(tree, field):
                yield _problem(field, "is needed with web3.enabled in the cluster profile, which embeds nothing")


_RULES: tuple[Callable[[Any], Iterator[Problem]], ...] = (
    _urls, _folders, _ports, _databases, _cluster, _engine, _training, _alerts, _jellyfin,
    _chain, _ownership,
)  # fmt: skip
