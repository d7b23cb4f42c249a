"""Where the embedded parts listen and which passwords they have: chosen once, remembered, published to Settings.

Belongs here: telling what a person set from what the runtime wrote, choosing ports, writing ``run/endpoints.json``.
Does not belong here: command lines (one file per part).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from nexus.errors import Category, NexusError
from nexus.runtime import kubo_repo, ports, postgres, processes, redis, scrape
from nexus.runtime.home import Home, read_json, write_json
from nexus.settings import Role, Settings, load
from nexus.settings_reading import build

ENDPOINTS = "endpoints.json"
_CHOSEN = "choices.json"
# listener -> (area, setting of its port, setting of its URL)
LISTENERS: Mapping[str, tuple[str, str, str]] = {
    "postgres": ("postgres", "port", "url"),
    "redis": ("redis", "port", "url"),
    "temporal": ("temporal", "port", "address"),
    "temporal-ui": ("temporal", "ui_port", "address"),
    "mlflow": ("mlflow", "port", "url"),
    "dagster-webserver": ("dagster", "port", "url"),
    "dagster-code": ("dagster", "code_port", "url"),
    "api": ("api", "port", "url"),
    "worker-metrics": ("telemetry", "metrics_port", "metrics_url"),
    "worker-engine": ("telemetry", "engine_port", "engine_url"),
    "chain": ("web3", "chain_port", "rpc_urls"),
    "ipfs": ("web3", "ipfs_port", "ipfs_url"),
    "ipfs-gateway": ("web3", "ipfs_gateway_port", "ipfs_url"),
    "ipfs-swarm": ("web3", "ipfs_swarm_port", "ipfs_url"),
}
CHOICES = ("web3",)
"""Areas whose parts run only where somebody wants them: ``bin/nexus up --with web3``, or ``web3.enabled``."""
_INNER = {"temporal-http": 17333, "temporal-metrics": 17433}


class UserSettings(Settings):
    """What a person set, without what the runtime wrote: tells external parts from embedded ones."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *args: PydanticBaseSettingsSource, **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Every source but the last (``run/endpoints.json``)."""
        return super().settings_customise_sources(settings_cls, *args, **sources)[:-1]


@dataclass(frozen=True, slots=True)
class Secrets:
    """Passwords of the embedded servers, made at the first start."""

    postgres: str
    redis: str
    roles: dict[str, str]
    keys: str
    swarm: str


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the parts' command lines are made from."""

    home: Home
    user: Settings
    ports: dict[str, int]
    secrets: Secrets
    choices: frozenset[str] = frozenset()

    def is_external(self, part: str) -> bool:
        """Whether a person gave the address of a server of their own."""
        return is_external(self.user, "dagster-webserver" if part == "dagster" else part)

    def settings(self) -> Settings:
        """The settings that the parts will see."""
        return load(home=self.home.root)


def user_settings() -> Settings:
    """What a person set in the environment and in settings.toml.

    Raises:
        NexusError: category ``invalid``, as :func:`nexus.settings.load` does.
    """
    load()
    return build(UserSettings)


def is_external(user: Settings, listener: str) -> bool:
    """Whether a person gave the address of a server of their own for this listener."""
    area, _, field = LISTENERS[listener]
    return getattr(getattr(user, area), field) not in (None, ())


def choices(home: Home, user: Settings) -> frozenset[str]:
    """What this home runs beside the rest: by a person's settings, else as it was asked for before."""
    remembered = read_json(home.run / _CHOSEN)
    return frozenset(
        area
        for area in CHOICES
        if (
            getattr(user, area).enabled
            if "enabled" in getattr(user, area).model_fields_set
            else remembered.get(area) is True
        )
    )


def choose(home: Home, user: Settings, wanted: Collection[str], unwanted: Collection[str]) -> None:
    """Remember what is to run beside the rest.

    Raises:
        NexusError: ``invalid`` for a name that is no choice, ``conflict`` when a person's settings say the opposite.
    """
    remembered = read_json(home.run / _CHOSEN)
    for area in (*wanted, *unwanted):
        is_wanted = area in wanted
        if area not in CHOICES or (is_wanted and area in unwanted):
            raise NexusError(
                "wanted and not wanted at once" if area in CHOICES else "there is no such choice",
                field="--with",
                value=area,
                remedy=f"one of: {', '.join(CHOICES)}; either --with or --without",
            )
        group = getattr(user, area)
        if "enabled" in group.model_fields_set and group.enabled != is_wanted:
            raise NexusError(
                f"{area}.enabled is set to {str(group.enabled).lower()}, and a setting wins",
                category=Category.CONFLICT,
                field=f"{area}.enabled",
                value=group.enabled,
                remedy=f"unset NEXUS_{area.upper()}__ENABLED (or {area}.enabled in settings.toml), or change it",
            )
        remembered[area] = is_wanted
    if wanted or unwanted:
        write_json(home.run / _CHOSEN, remembered)


def _wishes(user: Settings, chosen: Collection[str]) -> list[ports.Wish]:
    """One wish for every listener that is wanted and not replaced by a person's URL."""
    wishes = []
    for name, (area_name, port_field, _) in LISTENERS.items():
        area: BaseModel = getattr(user, area_name)
        if is_external(user, name) or (area_name in CHOICES and area_name not in chosen):
            continue
        is_fixed = port_field in area.model_fields_set and getattr(area, port_field) != 0
        wishes.append(ports.Wish(name, getattr(area, port_field), f"{area_name}.{port_field}", is_fixed))
    if user.temporal.address is None:
        wishes += [ports.Wish(name, port) for name, port in _INNER.items()]
    if user.lake.engine == "jvm" and user.lake.spark_url is None:
        is_fixed = "spark_port" in user.lake.model_fields_set and user.lake.spark_port != 0
        wishes.append(ports.Wish("spark", user.lake.spark_port, "lake.spark_port", is_fixed))
    return sorted(wishes, key=lambda wish: not wish.is_fixed)


def _keep_listening(wishes: list[ports.Wish], remembered: Mapping[str, int], running: frozenset[str]) -> dict[str, int]:
    """Ports of parts that run now: taken by themselves, so they are kept as they are."""
    return {
        wish.name: remembered[wish.name]
        for wish in wishes
        if wish.name in remembered and any(wish.name == part or wish.name.startswith(f"{part}-") for part in running)
        and not (wish.is_fixed and wish.preferred != remembered[wish.name])
    }  # fmt: skip


def prepare(home: Home, user: Settings, *, running: frozenset[str] = frozenset(), lost: Collection[int] = ()) -> State:
    """Choose ports, make passwords at the first start, and publish the endpoints.

    Args:
        home: The state folder, already made.
        user: What a person set.
        running: Parts that run now and keep their ports.
        lost: Ports on which another program listens now.

    Raises:
        NexusError: category ``conflict`` when a port that a person asked for is taken.
    """
    remembered = {name: int(port) for name, port in read_json(home.run / "ports.json").items()}
    chosen_areas = choices(home, user)
    wishes = _wishes(user, chosen_areas)
    kept = {name: port for name, port in _keep_listening(wishes, remembered, running).items() if port not in lost}
    open_wishes = [wish for wish in wishes if wish.name not in kept]
    local = [wish for wish in open_wishes if wish.name != "api"]
    held = _held_by_others(home)
    chosen = kept | ports.choose(local, _without(remembered, kept), promised=held)
    api = [wish for wish in open_wishes if wish.name == "api"]
    promised = held | set(chosen.values())
    chosen = chosen | ports.choose(api, _without(remembered, chosen), host=user.api.host, promised=promised)
    write_json(home.run / "ports.json", chosen)
    state = State(home, user, chosen, _secrets(home), chosen_areas)
    write_json(home.run / ENDPOINTS, endpoints(state))
    scrape.write(home, state.settings())
    return state


def _held_by_others(home: Home) -> set[int]:
    """Ports of other platforms that run here: free for the moment in which one of their parts is restarted."""
    found = (read_json(other / "run" / "ports.json") for other in processes.other_homes(home.root))
    return {int(port) for numbers in found for port in numbers.values()}


def _without(remembered: Mapping[str, int], kept: Mapping[str, int]) -> dict[str, int]:
    return {name: port for name, port in remembered.items() if port not in kept.values()}


def known(home: Home, user: Settings) -> State | None:
    """The state of the last start, for a look; None before the first one."""
    remembered = read_json(home.run / "ports.json")
    if not remembered or not (home.root / "secrets.json").exists():
        return None
    numbers = {name: int(port) for name, port in remembered.items()}
    chosen = choices(home, user)
    if "web3" in chosen and any(name not in numbers and not is_external(user, name) for name in ("chain", "ipfs")):
        chosen = frozenset()  # it was asked for and never started
    return State(home, user, numbers, _secrets(home), chosen)


def _secrets(home: Home) -> Secrets:
    path = home.root / "secrets.json"
    found = read_json(path)
    roles = {role: found.get("roles", {}).get(role) or postgres.new_password() for role in get_args(Role)}
    secrets = Secrets(
        postgres=found.get("postgres") or postgres.new_password(),
        redis=found.get("redis") or postgres.new_password(),
        roles=roles,
        keys=found.get("keys") or postgres.new_password(),
        swarm=found.get("swarm") or kubo_repo.new_swarm_key(),
    )
    if asdict(secrets) != found:
        write_json(path, asdict(secrets))
    return secrets


def endpoints(state: State) -> dict[str, Any]:
    """What the runtime knows, in the shape of Settings; areas that a person set are left to them."""
    roles = {role: text for role, text in state.secrets.roles.items() if role not in state.user.postgres.role_passwords}
    found: dict[str, Any] = {"postgres": {"role_passwords": roles}}
    number = state.ports
    if not state.is_external("postgres"):
        found["postgres"]["url"] = postgres.url(number["postgres"], state.secrets.postgres, "nexus")
    if not state.is_external("redis"):
        found["redis"] = {"url": redis.url(number["redis"], state.secrets.redis)}
    if not state.is_external("temporal"):
        found["temporal"] = {
            "address": f"127.0.0.1:{number['temporal']}",
            "ui_url": f"http://127.0.0.1:{number['temporal-ui']}",
        }
        if "task_queue" not in state.user.temporal.model_fields_set:
            # Ports move between homes: a worker left behind by another one must not take this one's work.
            found["temporal"]["task_queue"] = f"nexus-{hashlib.sha256(str(state.home.root).encode()).hexdigest()[:8]}"
    found["telemetry"] = _figures(state)
    if "spark" in number and state.user.lake.spark_url is None:
        found["lake"] = {"spark_url": f"sc://127.0.0.1:{number['spark']}"}
    if state.user.keys.password is None:
        found["keys"] = {"password": state.secrets.keys}
    if "web3" in state.choices:
        found["web3"] = _web3(state)
    for area, listener in (("dagster", "dagster-webserver"), ("mlflow", "mlflow"), ("api", "api")):
        if not state.is_external(area):
            found[area] = {"url": f"http://{_reachable(state, area)}:{number[listener]}"}
    return found


def _web3(state: State) -> dict[str, Any]:
    """Where chain and IPFS node answer, as far as they are embedded."""
    number = state.ports
    found: dict[str, Any] = {"enabled": True}
    if not state.is_external("chain"):
        found["rpc_urls"] = [f"http://127.0.0.1:{number['chain']}"]
    if not state.is_external("ipfs"):
        found["ipfs_url"] = f"http://127.0.0.1:{number['ipfs']}"
        found["ipfs_gateway_url"] = f"http://127.0.0.1:{number['ipfs-gateway']}"
    return found


def _figures(state: State) -> dict[str, Any]:
    """Where figures are shown by parts that have a port for nothing else."""
    number = state.ports
    found: dict[str, Any] = {}
    for name in ("metrics", "engine"):
        if f"worker-{name}" in number and getattr(state.user.telemetry, f"{name}_url") is None:
            found |= {f"{name}_port": number[f"worker-{name}"], f"{name}_url": _metrics_url(number[f"worker-{name}"])}
    if not state.is_external("temporal") and state.user.telemetry.temporal_url is None:
        found["temporal_url"] = _metrics_url(number["temporal-metrics"])
    return found


def _metrics_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/metrics"


def _reachable(state: State, area: str) -> str:
    """The host to write into a URL; an address that means "all of them" is reached through loopback."""
    host = state.user.api.host if area == "api" else "127.0.0.1"
    return "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
