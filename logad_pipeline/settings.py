"""`Settings`: everything that a deployment chooses, from `logad.toml` and the LOGAD_* environment.

Belongs here: names, defaults and where things lie. No code reads the environment elsewhere.
"""

from __future__ import annotations

import os
import tomllib
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

if TYPE_CHECKING:
    from logad_pipeline.detectors.fitting import FitSpec
    from logad_pipeline.windows import WindowSpec

CONFIG_FILE: Final = "logad.toml"


class WindowSettings(BaseModel):
    """How days are cut; see :class:`logad_pipeline.windows.WindowSpec`."""

    model_config = ConfigDict(extra="forbid")

    window_type: Literal["fixed", "sliding", "session"] = "fixed"
    size: int = Field(10, ge=1)
    stride: int = Field(1, ge=1)
    group_by: str = "host"
    max_session_lines: int = Field(256, ge=1)


class ModelSettings(BaseModel):
    """What is trained; see :class:`logad_pipeline.detectors.fitting.FitSpec`."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    name: str = "logad"
    base_model: str = "prajjwal1/bert-mini"
    vocab_size: int = Field(2000, ge=100)
    max_steps: int = Field(400, ge=1)
    max_minutes: float | None = None
    batch_size: int = Field(16, ge=1)
    batch_tokens: int = Field(1024, ge=1)
    learning_rate: float = Field(8e-4, gt=0)
    false_alarm_rate: float = Field(0.01, gt=0, lt=1)
    risk_bands: dict[str, float] = Field(default_factory=lambda: {"low": 0.0, "medium": 0.5, "high": 0.85})
    detectors: list[str] = Field(default_factory=list)
    """Names out of ``detectors.registry.ALL``; none for all of them."""
    seed: int = Field(0, ge=0)
    device: str = "auto"
    automatic_promotion: bool = True

    @field_validator("detectors")
    @classmethod
    def _detectors_exist(cls, names: list[str]) -> list[str]:
        if names:
            from logad_pipeline.detectors.registry import check_names

            check_names(tuple(names))
        return names


class ServingSettings(BaseModel):
    """How the API answers; limits are those of one request. See ``serving``."""

    model_config = ConfigDict(extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    threads: int = Field(16, ge=2)
    require_keys: bool | None = None
    """Whether a key is needed; by default on any address but loopback."""
    requests_per_minute: int = Field(600, ge=1)
    """Of one key, unless the key has a rate of its own."""
    max_body_bytes: int = Field(8 << 20, ge=1024)
    max_lines: int = Field(10_000, ge=1)
    max_line_chars: int = Field(65_536, ge=1)
    max_sequences: int = Field(1000, ge=1)
    max_streams: int = Field(8, ge=1)
    """Streams that may be open at once; each holds a thread, of which at least one is kept for other requests."""
    stream_idle_seconds: float = Field(50.0, gt=0, lt=60)
    """Within which a stream's next line must have come; at 60 the server takes the connection for dead."""
    read_seconds: float = Field(20.0, gt=0)
    """Within which a request's headers and body must have come."""
    reload_seconds: float = Field(10.0, gt=0)
    """Between looks at the champion's alias."""
    remembered_windows: int = Field(50_000, ge=1)
    allowed_hosts: list[str] = Field(default_factory=list)
    """Further names that browsers reach the service by, such as a proxy's."""
    dagster_url: str = ""
    """Of Dagster's pages, for links; empty for none."""
    mlflow_url: str = ""
    """Of MLflow's pages, for links; by default ``tracking_uri`` where that is a server."""

    @field_validator("dagster_url", "mlflow_url")
    @classmethod
    def _is_page(cls, url: str) -> str:
        return _checked_url("page", url)

    def needs_keys(self) -> bool:
        """Whether requests must bring a key."""
        return not is_loopback(self.host) if self.require_keys is None else self.require_keys


def _checked_url(what: str, url: str) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise ValueError(f"{what} '{url}' is no http:// or https:// address")
    return url


def without_secrets(text: str) -> str:
    """An address as it may be shown: user and password, what is asked of it, and its fragment are hidden.

    A text that holds no address stays as it is. What stands before the last ``@`` is taken for a password, as one
    may hold any character.
    """
    start, found, rest = text.partition("://")
    if not found:
        return text
    _, at, place = rest.rpartition("@")
    shown = f"***@{place}" if at else rest
    for sign in ("?", "#"):
        head, asked, _ = shown.partition(sign)
        shown = f"{head}{sign}***" if asked else head
    return f"{start}://{shown}"


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ExplanationSettings(BaseModel):
    """The language model that puts evidence into words; none without a ``url``. See
    :class:`logad_pipeline.explanation.language_model.LanguageModel`.

    Give ``api_key`` as ``LOGAD_EXPLANATION__API_KEY`` rather than in a file.
    """

    model_config = ConfigDict(extra="forbid")

    url: str = ""
    model: str = ""
    api_key: SecretStr = SecretStr("")
    timeout_s: float = Field(20.0, gt=0)


class AlertSettings(BaseModel):
    """What is promised of alarms, and who is told; see :class:`logad_pipeline.lake.thresholds.Promise`."""

    model_config = ConfigDict(extra="forbid")

    per_day_and_host: float = Field(0.0, ge=0)
    """A budget of each host by itself, in the place of ``model.false_alarm_rate``; 0 for none."""
    adaptive: bool = True
    recalibrate_days: int = Field(14, ge=1)
    webhook: str = ""
    """URL that new alerts are posted to as JSON; empty for none."""
    file: str = ""
    """File that new alerts are written to, one JSON object a line; empty for none."""
    notice_days: int = Field(7, ge=1)
    """Alerts of older days are not told of: nobody wants last year's from a backfill."""
    again_after_days: int = Field(30, ge=1)
    """After so many quiet days an alert is new again."""

    @field_validator("webhook")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return _checked_url("webhook", url)


class RetrainingSettings(BaseModel):
    """When a new model is trained by itself, and on what."""

    model_config = ConfigDict(extra="forbid")

    first_windows: int = Field(500, ge=1)
    """Prepared windows from which on the first model is trained."""
    new_windows: int = Field(20_000, ge=1)
    """Windows accepted as normal since the newest model's days, from which on it is trained anew."""
    unseen_share: float = Field(0.2, gt=0, le=1)
    """Share of a day's records with texts that the champion has not learned from."""
    score_stability: float = Field(0.5, gt=0)
    """Population stability index of a day's scores."""
    drift_days: int = Field(2, ge=1)
    """Days in a row that must lie past one of the two marks."""
    cooling_hours: float = Field(24.0, ge=0)
    policy: Literal["rolling", "decayed", "all"] = "rolling"
    days: int = Field(28, ge=1)
    """Newest days for ``rolling``, half-life for ``decayed``."""
    held_out_days: int = Field(2, ge=0)
    """Newest days that are kept for the gate."""
    habit_days: int = Field(3, ge=0)
    """Days on which an alarm must come, and nobody call it anomalous, to be learned as normal; 0 for never."""


class OperationSettings(BaseModel):
    """What runs by itself, and how often it looks."""

    model_config = ConfigDict(extra="forbid")

    by_itself: bool = True
    """Whether the schedules and sensors are on where nobody has switched them in Dagster's pages."""
    look_every_seconds: int = Field(30, ge=1)
    rest_seconds: float = Field(60.0, ge=0)
    """A file of the inbox is landed once it has not changed for so long."""
    catch_up_days: int = Field(14, ge=0)
    """How far back the daily schedule looks for days that were landed and not judged."""
    rescore_days: int = Field(7, ge=0)
    """Newest days that a new champion judges anew."""
    keep_versions_days: int = Field(30, ge=1)
    """How long the tables can be read as they were; what no such version needs is deleted every week."""


class Settings(BaseSettings):
    """All settings. ``logad.toml`` in the working directory (or the file named by ``LOGAD_CONFIG``) is
    read first, then the environment (``LOGAD_LAKE``, ``LOGAD_MODEL__SEED``, …) overrides it.

    Every path is absolute after loading: a relative one is relative to the configuration file.

    Raises:
        pydantic.ValidationError: for a value outside its range or a name that is not known.
    """

    model_config = SettingsConfigDict(env_prefix="LOGAD_", env_nested_delimiter="__", extra="forbid")
    config_file: ClassVar[Path] = Path(CONFIG_FILE)

    lake: Path = Path("data_lake")
    dagster_home: Path = Path("data_lake/dagster")
    tracking_uri: str = ""
    time_zone: str = "UTC"
    first_day: date = date(2005, 1, 1)
    score_at: str = "02:00"
    windows: WindowSettings = WindowSettings()
    model: ModelSettings = ModelSettings()
    serving: ServingSettings = ServingSettings()
    explanation: ExplanationSettings = ExplanationSettings()
    alerts: AlertSettings = AlertSettings()
    retraining: RetrainingSettings = RetrainingSettings()
    operation: OperationSettings = OperationSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, cls.config_file))

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"time zone '{name}' is not known; use a name like Europe/Berlin") from error
        return name

    @field_validator("score_at")
    @classmethod
    def _is_clock(cls, value: str) -> str:
        hour, _, minute = value.partition(":")
        if not (hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60):
            raise ValueError(f"score_at '{value}' is no time of day; write it like 02:00")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which days begin."""
        return ZoneInfo(self.time_zone)

    def window_spec(self) -> WindowSpec:
        """The core's form of ``windows``."""
        from logad_pipeline.windows import WindowSpec

        return WindowSpec(**self.windows.model_dump())

    def fit_spec(self) -> FitSpec:
        """The core's form of ``model``."""
        from logad_pipeline.detectors.calibration import ScoreScale
        from logad_pipeline.detectors.encoder import EncoderSpec
        from logad_pipeline.detectors.fitting import FitSpec
        from logad_pipeline.detectors.registry import ALL
        from logad_pipeline.detectors.training import TrainingSpec

        model = self.model
        return FitSpec(
            encoder=EncoderSpec(base_model=model.base_model, vocab_size=model.vocab_size),
            training=TrainingSpec(
                max_steps=model.max_steps,
                batch_size=model.batch_size,
                batch_tokens=model.batch_tokens,
                learning_rate=model.learning_rate,
                max_minutes=model.max_minutes,
                seed=model.seed,
            ),
            scale=ScoreScale(model.false_alarm_rate, tuple(sorted(model.risk_bands.items(), key=lambda b: b[1]))),
            detectors=tuple(model.detectors) or ALL,
            device=model.device,
        )


def load_settings(lake: Path | None = None) -> Settings:
    """Read the settings and make every path absolute.

    Args:
        lake: used instead of the configured lake; what lies in the lake by default moves with it.

    Raises:
        pydantic.ValidationError: for a value outside its range or a name that is not known.
        ValueError: if the file or a variable of the environment cannot be read as what it should be.
        FileNotFoundError: if ``LOGAD_CONFIG`` names no file.
    """
    named = os.environ.get("LOGAD_CONFIG")
    file = Path(named or CONFIG_FILE).absolute()
    if named and not file.is_file():
        raise FileNotFoundError(f"LOGAD_CONFIG names {file}, which does not exist; unset it or write the file")
    Settings.config_file = file
    try:
        settings = Settings()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML: {error}; mend it") from error
    except SettingsError as error:
        raise ValueError(f"{error}: a section takes JSON there; better give single values, as in "
                         "LOGAD_SERVING__PORT=8001") from error  # fmt: skip
    root = lake.absolute() if lake else (file.parent / settings.lake.expanduser()).absolute()
    chosen_home = settings.dagster_home != Settings.model_fields["dagster_home"].default
    home = (file.parent / settings.dagster_home.expanduser()).absolute() if chosen_home else root / "dagster"
    uri = settings.tracking_uri or f"sqlite:///{root / 'mlflow' / 'mlflow.db'}"
    alerts = settings.alerts
    if alerts.file:
        alerts = alerts.model_copy(update={"file": str((file.parent / Path(alerts.file).expanduser()).absolute())})
    return settings.model_copy(update={"lake": root, "dagster_home": home, "tracking_uri": uri, "alerts": alerts})
