"""Every value that differs between two installations, typed, in one tree, built once at the door of a process.

Sources, strongest first: arguments, environment (``NEXUS_POSTGRES__URL``), secret files, ``$NEXUS_HOME/settings.toml``
(the user's), ``$NEXUS_HOME/run/endpoints.json`` (written by the runtime: where the embedded parts listen).
A URL that is set means "use that server"; one that is not set means "the embedded part".
Does not belong here: anything that opens a connection.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from nexus.errors import Category, NexusError
from nexus.settings_reading import Environment, build

ROOT = Path(__file__).resolve().parent.parent
Role = Literal["api", "worker", "pipeline", "reader"]
Cron = Annotated[str, StringConstraints(pattern=r"^\s*([0-9*/,-]+\s+){4}[0-9A-Za-z*/,-]+\s*$")]
PLACEHOLDERS = frozenset({"", "change-me", "changeme", "secret", "password", "postgres", "nexus", "example"})


class Area(BaseModel):
    """A group of settings; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PostgresSettings(Area):
    """Facts of now. ``url`` is the owner's: it creates databases, roles and tables."""

    url: SecretStr | None = Field(None, description="postgresql://owner:password@host:port/nexus; unset: embedded")
    port: int = Field(15432, ge=0, le=65535, description="preferred port of the embedded server; 0: any free one")
    role_passwords: dict[Role, SecretStr] = Field(default_factory=dict, description="passwords of the lesser roles")
    dagster_database: str = Field("dagster", description="database of Dagster's runs and schedules")
    mlflow_database: str = Field("mlflow", description="database of MLflow's runs and models")
    feast_database: str = Field("feast", description="database of Feast's registry")

    def owner_url(self, *, driver: str = "psycopg", database: str | None = None) -> str:
        """SQLAlchemy URL of the owner, with an explicit driver (``psycopg``, ``psycopg2`` or empty for libpq)."""
        return self._url(driver=driver, database=database)

    def role_url(self, role: Role, *, driver: str = "psycopg") -> str:
        """SQLAlchemy URL of one of the least-privilege roles (user ``nexus_<role>``)."""
        return self._url(driver=driver, user=f"nexus_{role}", password=self.role_passwords[role].get_secret_value())

    def _url(
        self, *, driver: str, database: str | None = None, user: str | None = None, password: str | None = None
    ) -> str:
        if self.url is None:
            raise not_started("postgres")
        parts = urlsplit(self.url.get_secret_value())
        host = parts.netloc.rpartition("@")[2]
        login = parts.netloc.rpartition("@")[0]
        if user is not None:
            login = f"{quote(user, safe='')}:{quote(password or '', safe='')}"
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        path = parts.path if database is None else f"/{database}"
        return urlunsplit((scheme, f"{login}@{host}" if login else host, path, parts.query, ""))


class RedisSettings(Area):
    """What is in motion, and what may be lost."""

    url: SecretStr | None = Field(None, description="redis://[:password@]host:port/0; unset: embedded")
    port: int = Field(16379, ge=0, le=65535, description="preferred port of the embedded server; 0: any free one")

    def dsn(self) -> str:
        """The URL, for a client."""
        if self.url is None:
            raise not_started("redis")
        return self.url.get_secret_value()


class TemporalSettings(Area):
    """The engine of durable workflows."""

    address: str | None = Field(None, description="host:port of the frontend; unset: embedded")
    port: int = Field(17233, ge=0, le=65535, description="preferred port of the embedded server; 0: any free one")
    ui_url: str | None = Field(None, description="http://host:port of the web interface; unset: embedded")
    ui_port: int = Field(
        18233, ge=0, le=65535, description="preferred port of the embedded web interface; 0: any free one"
    )
    namespace: str = Field("default", description="Temporal namespace")
    task_queue: str = Field(
        "nexus", description="queue that the worker serves; the embedded runtime gives each home its own"
    )


class DagsterSettings(Area):
    """The engine of assets."""

    url: str | None = Field(None, description="http://host:port of the webserver; unset: embedded")
    port: int = Field(13000, ge=0, le=65535, description="preferred port of the webserver; 0: any free one")
    code_port: int = Field(14000, ge=0, le=65535, description="preferred port of the code server; 0: any free one")


class MlflowSettings(Area):
    """The registry of models."""

    url: str | None = Field(None, description="http://host:port of the tracking server; unset: embedded")
    port: int = Field(15000, ge=0, le=65535, description="preferred port of the embedded server; 0: any free one")
    experiment: str = Field("nexus", description="MLflow experiment of all runs")
    model_name: str = Field("recommender", description="name of the registered model")


class ApiSettings(Area):
    """The HTTP door."""

    host: str = Field("127.0.0.1", description="address to listen on; only this machine by default")
    url: str | None = Field(None, description="where the API answers; written by the runtime")
    port: int = Field(8788, ge=0, le=65535, description="preferred port; 0: any free one")
    max_body_bytes: int = Field(2_000_000, gt=0, description="largest request body in bytes")


class LakeSettings(Area):
    """Delta tables and how they are computed."""

    url: str | None = Field(None, description="folder or s3:// URL of the tables; unset: $NEXUS_HOME/lake")
    engine: Literal["sail", "jvm"] | None = Field(
        None,
        description="sail (in process; delta-rs writes) or jvm (Spark and Delta on Java; its executors write); "
        "unset: jvm when spark_url is set, else sail",
    )
    spark_url: str | None = Field(
        None, description="sc://host:port of a Spark Connect server; unset: an embedded one of the engine's kind"
    )
    sail_memory_mb: int = Field(
        400,
        ge=0,
        description="memory of the sail engine's sorts and joins; more spills to temporary files; 0: no limit",
    )
    spark_port: int = Field(15102, ge=0, le=65535, description="preferred port of the embedded jvm engine")
    spark_memory: str = Field("2g", pattern="^[1-9][0-9]*[mg]$", description="heap of the embedded jvm engine")
    spark_jars: Path | None = Field(
        None, description="folder with the jars of deploy/spark/jars.sha256; unset: fetched with Maven, once"
    )

    @property
    def is_jvm(self) -> bool:
        """Whether Spark and Delta on Java compute and write."""
        return self.engine == "jvm" or (self.engine is None and self.spark_url is not None)


class ServingSettings(Area):
    """How the champion is served."""

    bundle_url: str | None = Field(None, description="folder of published models; unset: $NEXUS_HOME/serving")
    poll_s: float = Field(2.0, gt=0, description="seconds between looks for a new champion")
    diversity: float = Field(
        0.0, ge=0, le=1, description="how unlike each other the titles of a list shall be; 0: as the model ranks them"
    )
    exploration: float = Field(
        0.0,
        ge=0,
        le=5,
        description="chance in a list, in deviations of the best titles' scores; 0: none; drawn once a day",
    )
    exact_titles: int = Field(
        200_000,
        ge=0,
        description="text vectors held in memory and compared one by one; of more titles pgvector is asked",
    )


class TrainingSettings(Area):
    """How models are trained and promoted."""

    seeds: tuple[int, ...] = Field((1, 2, 3), description="seeds of training; the pipeline trains the first")
    max_seconds: float = Field(300.0, gt=0, description="time limit of one seed's training")
    require_approval: bool = Field(False, description="PromoteModel waits for a person's approval")
    dvc_remote: str | None = Field(
        None,
        pattern=r"^(/|[a-z0-9]+://)[^\s\"']+$",
        description="absolute folder or URL for a second copy of training data; unset: only $NEXUS_HOME/dvc",
    )
    is_automatic: bool = Field(
        True, description="schedules and sensors start runs by themselves; false: only people do"
    )
    schedule: Cron = Field("15 3 * * *", description="when everything is made anew and a model trained, cron, UTC")
    min_new_events: int = Field(500, ge=1, description="new events since the last judged model that start a training")
    cooldown_s: float = Field(1800.0, ge=0, description="seconds between two trainings that new data starts")
    stale_after_h: float = Field(36.0, gt=0, description="hours after which what is made daily counts as old")
    accelerator: Literal["auto", "cpu", "gpu"] = Field("cpu", description="what Lightning trains on")
    strategy: Literal["auto", "ddp"] = Field("auto", description="Lightning's strategy; ddp: one process per device")
    devices: int = Field(1, ge=1, le=64, description="devices, or processes where the accelerator is cpu")
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = Field(
        "32-true", description="numbers that Lightning computes with"
    )
    gpus: int = Field(0, ge=0, description="nvidia.com/gpu that a training run asks of Kubernetes; cluster profile")


class CareSettings(Area):
    """How the lake's tables are kept small and fast."""

    schedule: Cron = Field("45 4 * * 0", description="when tables are compacted, ordered and vacuumed, cron, UTC")
    retain_days: float = Field(14.0, ge=0, description="days for which every version of a table can be read")


class AlertSettings(Area):
    """Who is told when a check or a run fails."""

    webhook_url: SecretStr | None = Field(None, description="http(s) URL that each alert is posted to; unset: nobody")
    webhook_secret: SecretStr | None = Field(None, description="key of the HMAC-SHA256 in X-Nexus-Signature")
    timeout_s: float = Field(5.0, gt=0, le=30, description="patience with one delivery")
    max_attempts: int = Field(20, ge=1, description="deliveries tried of one alert before it is left alone")

    @field_validator("webhook_url")
    @classmethod
    def _is_http(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and urlsplit(value.get_secret_value()).scheme not in {"http", "https"}:
            raise ValueError("is no http or https URL")
        return value


class TelemetrySettings(Area):
    """Traces and figures of the parts. Everything listens on loopback unless a person says otherwise."""

    otlp_endpoint: str | None = Field(
        None, description="http://host:4318 of a collector (OTLP/HTTP); unset: files only"
    )
    sample_ratio: float = Field(
        0.02, ge=0, le=1, description="share of reading requests and event batches that are traced; operations always"
    )
    file_bytes: int = Field(8_000_000, ge=0, description="size at which a part's file of spans is rotated; 0: no file")
    metrics_host: str = Field("127.0.0.1", description="address on which the worker shows figures")
    metrics_port: int = Field(17534, ge=0, le=65535, description="the worker's figures and those of the platform")
    metrics_url: str | None = Field(None, description="where they answer; written by the runtime; unset: not shown")
    engine_port: int = Field(17535, ge=0, le=65535, description="figures of the worker's Temporal client")
    engine_url: str | None = Field(None, description="where they answer; written by the runtime; unset: not shown")
    temporal_url: str | None = Field(None, description="figures of the Temporal server; written by the runtime")


class JellyfinSettings(Area):
    """The media server whose library and playback history are pulled."""

    url: str | None = Field(
        None, description="http://host:8096 of the server, with its base path; unset: none is pulled"
    )
    api_key: SecretStr | None = Field(None, description="a key of Jellyfin's dashboard (API Keys)")
    issuer: str = Field(
        "jellyfin", pattern="^[a-z][a-z0-9_.-]{0,31}$", description="name before the ids of its viewers and titles"
    )
    item_types: tuple[str, ...] = Field(
        ("Movie", "Series", "Episode", "Video", "MusicVideo"), min_length=1, description="kinds of items that count"
    )
    page_size: int = Field(500, ge=20, le=5000, description="items asked for at once")
    timeout_s: float = Field(30.0, gt=0, le=600, description="patience with one answer")


class PinService(Area):
    """A remote pinning service (Pinning Service API 1.0.0)."""

    name: str = Field(min_length=1, max_length=64, description="what it is called here")
    url: str = Field(description="its API endpoint, as in https://host/psa")
    token: SecretStr = Field(description="bearer token")
    gateway_url: str | None = Field(None, description="a gateway of that service, from which health takes blocks")


class Web3Settings(Area):
    """Chain, IPFS and minting; off unless asked for (``bin/nexus up --with web3``)."""

    enabled: bool = Field(False, description="run (or use) a chain and an IPFS node; titles can be minted")
    chain: Literal["anvil", "ethereum", "sepolia", "polygon", "amoy", "bsc", "bsc-testnet"] = Field(
        "anvil", description="which chain; its finality rule and gas policy come with the name"
    )
    rpc_urls: tuple[SecretStr, ...] = Field((), description="JSON-RPC endpoints of that chain; unset: embedded anvil")
    chain_port: int = Field(18545, ge=0, le=65535, description="preferred port of the embedded chain; 0: any free one")
    chain_program: Path | None = Field(
        None, description="anvil of one's own; unset: of the PATH, else fetched with npm"
    )
    finality_depth: int | None = Field(None, ge=1, le=10_000, description="confirmations; unset: the chain's own rule")
    max_fee_gwei: float | None = Field(
        None, gt=0, description="most that a unit of gas may cost; unset: the chain's own"
    )
    rpc_per_second: float | None = Field(
        None, gt=0, description="most requests a second to one endpoint; unset: no limit"
    )
    media_contract: str | None = Field(None, description="address of NexusMedia; unset: deployed and recorded by us")
    logs_from_block: int | None = Field(
        None, ge=0, description="block from which logs are read; unset: found by the time of deployment"
    )
    treasury: str | None = Field(None, description="address that owns tokens minted for nobody; unset: our own")
    royalty_bps: int = Field(500, ge=0, le=10_000, description="default royalty in basis points of a sale")
    lanes: int = Field(2, ge=1, le=32, description="signers that mint side by side")
    signer_url: str | None = Field(None, description="KMS-style signer service; unset: encrypted keystores of our own")
    signer_token: SecretStr | None = Field(None, description="bearer token of the signer service")
    rotate_signer: Cron | None = Field(
        None, description="when the minting key is replaced by itself; unset: when asked"
    )
    ipfs_url: str | None = Field(None, description="RPC address of an IPFS node; unset: embedded Kubo")
    ipfs_program: Path | None = Field(
        None, description="Kubo of one's own; unset: of the PATH, else built with Go, else js-ipfs of npm"
    )
    ipfs_port: int = Field(
        15001, ge=0, le=65535, description="preferred RPC port of the embedded node; 0: any free one"
    )
    ipfs_gateway_url: str | None = Field(None, description="gateway of that node; written by the runtime")
    ipfs_gateway_port: int = Field(15081, ge=0, le=65535, description="preferred gateway port; 0: any free one")
    ipfs_swarm_port: int = Field(14001, ge=0, le=65535, description="preferred swarm port; 0: any free one")
    ipfs_is_public: bool = Field(False, description="let the embedded node join the public network")
    gateways: tuple[str, ...] = Field((), description="trustless gateways to fall back to; every block is hashed")
    pin_services: tuple[PinService, ...] = Field((), description="remote services that pin too")
    pins_required: int = Field(1, ge=1, le=16, description="how many pins (our node's included) a mint waits for")
    domain: str | None = Field(None, description="host that wallets sign in to (EIP-4361); unset: the API's own")


class KeysSettings(Area):
    """The keyring that encrypts keystores and what workflows carry."""

    password: SecretStr | None = Field(None, description="wraps the keyring; written by the runtime when embedded")
    encrypt_payloads: bool = Field(True, description="encrypt what workflows carry (Temporal payloads)")


class Settings(BaseSettings):
    """The whole tree. Build it with :func:`load`."""

    model_config = SettingsConfigDict(
        env_prefix="NEXUS_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    home: Path = Field(ROOT / ".nexus", description="the folder that holds all state")
    profile: Literal["embedded", "cluster"] = Field(
        "embedded", description="one machine with embedded parts, or servers of a cluster"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level that is logged")
    postgres: PostgresSettings = PostgresSettings()
    redis: RedisSettings = RedisSettings()
    temporal: TemporalSettings = TemporalSettings()
    dagster: DagsterSettings = DagsterSettings()
    mlflow: MlflowSettings = MlflowSettings()
    api: ApiSettings = ApiSettings()
    lake: LakeSettings = LakeSettings()
    serving: ServingSettings = ServingSettings()
    training: TrainingSettings = TrainingSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    care: CareSettings = CareSettings()
    alerts: AlertSettings = AlertSettings()
    jellyfin: JellyfinSettings = JellyfinSettings()
    web3: Web3Settings = Web3Settings()
    keys: KeysSettings = KeysSettings()

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @model_validator(mode="after")
    def _no_placeholders(self) -> Settings:
        if self.profile == "cluster":
            for role, password in self.postgres.role_passwords.items():
                if password.get_secret_value().lower() in PLACEHOLDERS:
                    raise ValueError(f"postgres.role_passwords.{role} is a placeholder; set a secret of its own")
        return self

    @property
    def lake_url(self) -> str:
        """Root of the Delta tables."""
        return self.lake.url or str(self.home / "lake")

    @property
    def bundle_url(self) -> str:
        """Folder of published models."""
        return self.serving.bundle_url or str(self.home / "serving")

    @property
    def inbox(self) -> Path:
        """Folder of loads waiting for, or taken by, the raw assets."""
        return self.home / "inbox"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, the user's file, then what the runtime wrote."""
        home = Path(os.environ.get("NEXUS_HOME") or ROOT / ".nexus").expanduser()
        return (
            init_settings,
            Environment(settings_cls),
            TomlConfigSettingsSource(settings_cls, home / "settings.toml"),
            InitSettingsSource(settings_cls, _endpoints(home)),
        )


def _endpoints(home: Path) -> dict[str, Any]:
    """What the runtime wrote about its parts, as far as this version knows it; empty before the first ``up``."""
    try:
        found = json.loads((home / "run" / "endpoints.json").read_text())
    except (OSError, ValueError):
        return {}
    areas = Settings.model_fields
    return {
        area: {
            name: value for name, value in values.items() if name in getattr(areas[area].annotation, "model_fields", ())
        }
        for area, values in (found.items() if isinstance(found, dict) else ())
        if area in areas and isinstance(values, dict)
    }


def not_started(part: str) -> NexusError:
    """The error for a part that has neither a URL nor an embedded process."""
    return NexusError(
        f"{part} has no address",
        category=Category.UNAVAILABLE,
        field=f"{part}.url",
        remedy="run bin/nexus up, or set its URL in the environment",
    )


def load(**overrides: Any) -> Settings:
    """Read the settings, or raise one error that names every wrong one.

    Raises:
        NexusError: category ``invalid``; ``evidence["problems"]`` lists field, reason and value of each.
    """
    return build(Settings, **overrides)
