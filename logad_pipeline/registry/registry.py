"""MLflow: where trainings are recorded and models are kept by version and alias.

Belongs here: log, register, alias, fetch and verify. When to train and whom to promote is decided in
``orchestration``. Aliases, never stages; nothing is unpickled on the way.
"""

from __future__ import annotations

import errno
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logad_pipeline.detectors.ensemble import AnomalyDetector, ModelNotFound, read_model_json
from logad_pipeline.settings import Settings, without_secrets

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
_MODEL_ARTIFACT: Final = "model"
_TRIED: Final = "tried"
_NO_FILE: Final = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
"""Codes of I/O errors that tell of the files themselves; libraries raise some without a code."""
_NO_SUCH: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class RegistryUnavailable(Exception):
    """MLflow could not be reached or refused."""


class _FilesGone(ModelNotFound):
    """What keeps the files of a version has answered, and has none."""


@dataclass(frozen=True)
class RegisteredModel:
    """A model with where it stands in the registry."""

    detector: AnomalyDetector
    name: str
    version: str
    run_id: str


class ModelVersion(NamedTuple):
    """Where a name leads to; ``created`` is in milliseconds since 1970.

    A registry made anew counts its versions from 1 again: its version 1 is equal to none of another's.
    """

    name: str
    version: str
    run_id: str
    created: int


class Registry:
    """The registry of one deployment; opens no connection until it is asked something."""

    def __init__(self, settings: Settings) -> None:
        self.uri = settings.tracking_uri
        self.name = settings.model.name
        self._artifacts = settings.lake / "mlflow" / "artifacts"

    def prepare(self) -> None:
        """Bring the embedded database to the current schema, once, before several processes open it."""
        if not self.uri.startswith("sqlite:///"):
            return
        file = Path(self.uri.removeprefix("sqlite:///"))
        file.parent.mkdir(parents=True, exist_ok=True)
        with _quiet():
            import sqlalchemy
            from mlflow.store.db.utils import _initialize_tables, _upgrade_db

            engine = sqlalchemy.create_engine(self.uri)
            if file.exists() and sqlalchemy.inspect(engine).get_table_names():
                _upgrade_db(engine)
            else:
                _initialize_tables(engine)
            engine.dispose()

    def exists(self) -> bool:
        """Whether an embedded registry was ever made; a server is taken to be there."""
        return not self.uri.startswith("sqlite:///") or Path(self.uri.removeprefix("sqlite:///")).is_file()

    @contextmanager
    def run(self, name: str, run_id: str | None = None) -> Iterator[Any]:
        """A recorded MLflow run of this project's experiment; yields the module ``mlflow``, set up.

        The run is marked as failed if the body raises. ``run_id`` goes on with an earlier run.

        Raises:
            RegistryUnavailable: if MLflow does not answer, or stops answering on the way.
        """
        with _quiet():
            import mlflow
        with self._asked(works_itself=True):
            mlflow.set_tracking_uri(self.uri)
            experiment = mlflow.get_experiment_by_name(self.name)
            if experiment is None:
                location = self._artifacts.as_uri() if self.uri.startswith("sqlite:///") else None
                experiment_id = mlflow.create_experiment(self.name, artifact_location=location)
            else:
                experiment_id = experiment.experiment_id
            with mlflow.start_run(run_id=run_id, experiment_id=experiment_id, run_name=None if run_id else name):
                yield mlflow

    def register(self, mlflow: Any, detector: AnomalyDetector) -> RegisteredModel:
        """Log the model in the open run and register it as a new version, loaded back and tried first.

        Raises:
            RegistryUnavailable: if MLflow does not answer, or if what was registered does not give the scores that
                were saved.
        """
        with tempfile.TemporaryDirectory(prefix="logad-model-") as folder, _quiet(), warnings.catch_warnings():
            # MLflow's own types, which it reads here, would have it warn.
            warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
            directory = Path(folder) / _MODEL_ARTIFACT
            detector.save(directory)
            with self._asked(), _unspoken():
                info = mlflow.pyfunc.log_model(
                    name=_MODEL_ARTIFACT,
                    python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                    artifacts={_MODEL_ARTIFACT: str(directory)},
                    registered_model_name=self.name,
                    pip_requirements=["logad-pipeline"],
                )
        version = str(info.registered_model_version)
        loaded = self.load(f"models:/{self.name}/{version}")
        if loaded.detector.version != detector.version:
            raise RegistryUnavailable(f"version {version} came back as another model; it gets no alias")
        log.info("registered %s version %s", self.name, version)
        return loaded

    def set_alias(self, alias: str, version: str) -> None:
        """Point ``alias`` at a version that loads and predicts.

        Raises:
            ModelNotFound: if the version does not exist or cannot be loaded; the alias then stays.
            RegistryUnavailable: if the registry does not answer.
        """
        self.try_out(version)
        with self._asked():
            self._client().set_registered_model_alias(self.name, alias, version)

    def try_out(self, version: str) -> RegisteredModel:
        """Load a version and let it judge a line; it is then marked as tried, see :meth:`was_tried`.

        Raises:
            ModelNotFound: if it does not exist, cannot be loaded, or does not judge.
        """
        model = self.probed(version)
        self.annotate(version, {_TRIED: model.detector.version})
        return model

    def probed(self, version: str | ModelVersion, device: str = "auto") -> RegisteredModel:
        """Load a version and let it judge a line; nothing is written down.

        Raises:
            ModelNotFound: if it does not exist, cannot be loaded, or does not judge.
        """
        from logad_pipeline.streams import probe

        model = self.load(f"models:/{self.name}/{version}" if isinstance(version, str) else version, device)
        try:
            probe(model.detector)
        except ModelNotFound as error:
            raise ModelNotFound(f"version {model.version}: {error}; `logad train`") from error
        return model

    def was_tried(self, version: str) -> bool:
        """Whether :meth:`try_out` has found it sound, and :meth:`forget_trial` was not called since."""
        return self.tag(version, _TRIED) is not None

    def forget_trial(self, version: str) -> None:
        """Take a version for one that nobody has tried: its files may have changed since."""
        if self.was_tried(version):
            with self._asked():
                self._client().delete_model_version_tag(self.name, version, _TRIED)

    def model_tag(self, key: str) -> str | None:
        """A tag of the registered model as a whole, or ``None``."""
        from mlflow.exceptions import MlflowException

        try:
            value = self._client().get_registered_model(self.name).tags.get(key)
        except MlflowException as error:
            if error.error_code in _NO_SUCH:
                return None
            raise RegistryUnavailable(_down(self.uri, error)) from error
        return None if value is None else str(value)

    def set_model_tag(self, key: str, value: str) -> None:
        """Write a tag of the registered model as a whole."""
        with self._asked():
            self._client().set_registered_model_tag(self.name, key, value)

    def version_of(self, alias: str) -> str | None:
        """The version that ``alias`` points at, or ``None``."""
        try:
            return self.resolve(f"models:/{self.name}@{alias}").version
        except ModelNotFound:
            return None

    @contextmanager
    def _asked(self, *, works_itself: bool = False) -> Iterator[None]:
        """Say of a registry that does not answer, or refuses, that it does.

        Where the body ``works_itself`` an I/O error is its own, unless it comes from a connection.
        """
        from mlflow.exceptions import MlflowException
        from requests import RequestException
        from sqlalchemy.exc import SQLAlchemyError

        of_connections: type[OSError] = RequestException if works_itself else OSError
        try:
            yield
        except (MlflowException, SQLAlchemyError, of_connections) as error:
            raise RegistryUnavailable(_down(self.uri, error)) from error

    def versions(self) -> list[str]:
        """All versions, newest first.

        Raises:
            RegistryUnavailable: if MLflow cannot be asked.
        """
        if not self.exists():
            return []
        with self._asked():
            found = self._client().search_model_versions(f"name = '{self.name}'")
        return sorted((str(version.version) for version in found), key=int, reverse=True)

    def newest(self) -> str:
        """Name of the newest version, as ``models:/…``.

        Raises:
            ModelNotFound: if nothing was ever registered.
        """
        versions = self.versions()
        if not versions:
            raise ModelNotFound(
                "there is no model yet; make one with `logad fit FILE --model DIR` and pass --model DIR, or let "
                "the pipeline train one: `logad train`"
            )
        return f"models:/{self.name}/{versions[0]}"

    def left_behind(self, version: str) -> str:
        """Why this release cannot judge with a version that an earlier one made, ``""`` if it can: other masks, or
        another format. Told by the model's description alone; whether the rest is whole is not looked at.

        Raises:
            RegistryUnavailable: if the registry, or what keeps its files, does not answer.
        """
        uri = f"models:/{self.name}/{version}"
        try:
            with self._fetched(uri, f"{uri}/artifacts/{_MODEL_ARTIFACT}/model.json") as file:
                read_model_json(file.parent)
        except _FilesGone:
            return ""
        except ModelNotFound as error:
            return str(error).removeprefix(f"{file.parent}: ").removesuffix("; fit it again")
        return ""

    def load(self, uri: str | ModelVersion, device: str = "auto") -> RegisteredModel:
        """Load ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``, or where that was found to lead.

        Raises:
            ModelNotFound: if the registry has no such model, or its files are gone or damaged.
            RegistryUnavailable: if the registry, or what keeps its files, does not answer.
        """
        name, version, run_id, _ = self.resolve(uri) if isinstance(uri, str) else uri
        shown = uri if isinstance(uri, str) else f"models:/{name}/{version}"
        with self._fetched(shown, f"models:/{name}/{version}") as local:
            detector = _read_model(local / "artifacts" / _MODEL_ARTIFACT, device, shown)
        return RegisteredModel(detector, name, version, run_id)

    @contextmanager
    def _fetched(self, uri: str, artifact: str) -> Iterator[Path]:
        """Files of the model ``uri`` for a while.

        Raises:
            _FilesGone: if there are none.
            RegistryUnavailable: if what keeps them does not answer.
        """
        # A folder of our own: MLflow leaves its own behind, one more each time.
        with tempfile.TemporaryDirectory(prefix="logad-fetched-") as folder:
            try:
                with _quiet():
                    import mlflow

                    mlflow.set_tracking_uri(self.uri)
                    local = Path(mlflow.artifacts.download_artifacts(artifact_uri=artifact, dst_path=folder))
            except Exception as error:
                # Each kind of store has errors of its own. An outage says nothing of the model.
                if _not_there(error):
                    raise _FilesGone(
                        f"{uri} is registered, but its files are gone; `logad train` makes a new one: {error}"
                    ) from error
                raise RegistryUnavailable(f"the files of {uri} cannot be had now: {_down(self.uri, error)}") from error
            yield local

    def resolve(self, uri: str) -> ModelVersion:
        """The version that ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION`` leads to.

        Raises:
            ModelNotFound: if the registry has none by that name.
            RegistryUnavailable: if it does not answer.
        """
        from mlflow.exceptions import MlflowException

        missing = f"{uri} is not in the registry at {without_secrets(self.uri)}; `logad train` makes a model"
        if not self.exists():
            raise ModelNotFound(missing)
        name, at, alias = uri.removeprefix("models:/").partition("@")
        try:
            if at:
                found = self._client().get_model_version_by_alias(name, alias)
            else:
                name, _, version = name.partition("/")
                found = self._client().get_model_version(name, version)
        except MlflowException as error:
            if error.error_code in _NO_SUCH:
                raise ModelNotFound(missing) from error
            raise RegistryUnavailable(_down(self.uri, error)) from error
        return ModelVersion(name, str(found.version), str(found.run_id), int(found.creation_timestamp or 0))

    def annotate(self, version: str, tags: Mapping[str, str]) -> None:
        """Write tags on a version."""
        with self._asked():
            client = self._client()
            for key, value in tags.items():
                client.set_model_version_tag(self.name, version, key, value)

    def tag(self, version: str, key: str) -> str | None:
        """A tag of a version, or ``None``."""
        value = self.tags(version).get(key)
        return None if value is None else str(value)

    def tags(self, version: str) -> Mapping[str, str]:
        """All tags of a version."""
        with self._asked():
            return dict(self._client().get_model_version(self.name, version).tags)

    def made_at(self, version: str) -> datetime:
        """When a version was registered."""
        with self._asked():
            found = self._client().get_model_version(self.name, version)
        return datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)

    def _client(self) -> MlflowClient:
        from sqlalchemy.exc import SQLAlchemyError

        with _quiet():
            from mlflow import MlflowClient

            try:
                return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            except (SQLAlchemyError, OSError) as error:
                raise RegistryUnavailable(_down(self.uri, error)) from error


def _down(uri: str, error: BaseException) -> str:
    root = error
    while (before := root.__cause__ or root.__context__) is not None:
        root = before
    # What the system said is short; what was wrapped around it names the same address three times.
    reason = (isinstance(root, OSError) and root.strerror) or " ".join(str(error).split())[:300]
    return f"the registry at {without_secrets(uri)} does not answer or refuses ({reason}); run it again when it does"


def _not_there(error: Exception) -> bool:
    """Whether the keeper of the files has answered, and has none."""
    from mlflow.exceptions import MlflowException
    from requests import HTTPError

    if isinstance(error, MlflowException):
        return error.error_code in _NO_SUCH
    if isinstance(error, HTTPError):
        return error.response is not None and error.response.status_code == HTTPStatus.NOT_FOUND
    return isinstance(error, FileNotFoundError | NotADirectoryError)


def damage() -> tuple[type[Exception], ...]:
    """What reading a model raises where its files are not as they were written, or cannot be read."""
    from safetensors import SafetensorError

    return OSError, KeyError, TypeError, AttributeError, ValueError, SafetensorError


def _read_model(directory: Path, device: str, uri: str) -> AnomalyDetector:
    try:
        return AnomalyDetector.load(directory, device)
    except ModelNotFound as error:
        raise ModelNotFound(
            f"{uri} is registered, but of no use here; `logad train` makes a new one: {error}"
        ) from error
    except damage() as error:
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, OSError) and error.errno not in _NO_FILE:
            raise RegistryUnavailable(f"the files of {uri} cannot be read now ({reason}); run it later") from error
        raise ModelNotFound(
            f"{uri} is registered, but its files are damaged; `logad train` makes a new one: {reason}"
        ) from error


def log_pictures(mlflow: Any, pictures: Mapping[str, bytes | None]) -> None:
    """Log PNGs by name under ``plots/`` of the open run; those that are ``None`` were not drawn."""
    with tempfile.TemporaryDirectory(prefix="logad-plots-") as folder:
        for name, png in pictures.items():
            if png is not None:
                file = Path(folder) / f"{name}.png"
                file.write_bytes(png)
                mlflow.log_artifact(str(file), "plots")


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow without telemetry and without its chatter below WARNING."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # A server that is down is told of within a minute, and asked again by whatever runs next.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    yield


@contextmanager
def _unspoken() -> Iterator[None]:
    """Without the lines that MLflow prints of what it registers: who asked for it tells that."""
    from mlflow.utils.logging_utils import disable_logging, enable_logging

    disable_logging()
    try:
        yield
    finally:
        enable_logging()
