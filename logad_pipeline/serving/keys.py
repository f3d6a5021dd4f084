"""API keys: made once, shown once, kept as hashes in one file of the lake.

Belongs here: the file and what a key may do. Reading a request is in `access`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

SCOPES: Final = ("score", "feedback", "read")
"""score: every judgement; feedback: saying what was right; read: models, metrics, and the triage
pages, which show what stands in the logs."""
_PREFIX: Final = "logad"
_MOST_DAYS: Final = 36_500


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept: its secret's SHA-256, which is enough for a secret of 256 random bits.

    Attributes:
        id: 8 hex digits, a part of the key; safe to show and to log.
        scopes: out of `SCOPES`.
        requests_per_minute: ``None`` for that of the settings.
        created, expires: ISO 8601, UTC; ``expires`` may be ``""`` for never.
        hash: 64 hex digits.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    requests_per_minute: int | None
    created: str
    expires: str
    hash: str

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return bool(self.expires) and now >= datetime.fromisoformat(self.expires)


class KeyFile:
    """The keys of a deployment; a change in the file counts from the next request on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._keys: dict[str, ApiKey] = {}
        self._read_at: tuple[int, int] | None = None
        self._access = threading.Lock()

    def create(
        self, name: str, scopes: Collection[str], requests_per_minute: int | None = None, days: float | None = None
    ) -> str:
        """Add a key and return it: the only time that it can be seen.

        Raises:
            ValueError: for no scope or one that is not known, a name that is taken or none, a rate or a time that is
                out of range, or a file that cannot be read or written.
        """
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            raise ValueError(f"scope {', '.join(unknown) or 'missing'}: give one or more of {', '.join(SCOPES)}")
        if not name or not name.isprintable():
            raise ValueError("a key needs a name that can be printed, to be known by in the list")
        if requests_per_minute is not None and requests_per_minute < 1:
            raise ValueError("a rate must be above 0")
        if days is not None and not 0 < days <= _MOST_DAYS:
            raise ValueError(f"a time to live must be above 0 and up to {_MOST_DAYS} days; leave it out for no end")
        keys = self.all()
        if any(key.name == name for key in keys):
            raise ValueError(f"a key '{name}' is there already; revoke it first, or give another name")
        now = datetime.now(UTC).replace(microsecond=0)
        secret = secrets.token_urlsafe(32)
        made = ApiKey(
            id=secrets.token_hex(4), name=name, scopes=tuple(s for s in SCOPES if s in scopes),
            requests_per_minute=requests_per_minute, created=now.isoformat(),
            expires=(now + timedelta(days=days)).isoformat() if days is not None else "", hash=_hash(secret),
        )  # fmt: skip
        self._write([*keys, made])
        return f"{_PREFIX}_{made.id}_{secret}"

    def revoke(self, name_or_id: str) -> ApiKey:
        """Take a key away; it is refused from the next request on.

        Raises:
            ValueError: if there is no such key, or the file cannot be read or written.
        """
        keys = self.all()
        found = [key for key in keys if name_or_id in (key.name, key.id)]
        if not found:
            raise ValueError(f"no key is called '{name_or_id}'; `logad key list` shows them")
        self._write([key for key in keys if key not in found])
        return found[0]

    def all(self) -> list[ApiKey]:
        """Every key, in the order in which they were made.

        Raises:
            ValueError: if the file is no list of keys, or cannot be read.
        """
        return list(self._current().values())

    def find(self, presented: str) -> ApiKey | None:
        """The key that was presented, if its secret is right; whether it may do something is not asked."""
        prefix, _, rest = presented.partition("_")
        identifier, _, secret = rest.partition("_")
        key = self._current().get(identifier)
        # Compared even where there is no such key, so that time does not tell which ids there are.
        same = hmac.compare_digest(_hash(secret), key.hash if key else "0" * 64)
        return key if same and prefix == _PREFIX else None

    def _current(self) -> dict[str, ApiKey]:
        with self._access:
            try:
                status = self.file.stat()
            except FileNotFoundError:
                self._keys, self._read_at = {}, None
                return self._keys
            except OSError as error:
                raise _out_of_reach(error, self.file, "read") from error
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._read_at:
                self._keys, self._read_at = _read(self.file), stamp
            return self._keys

    def _write(self, keys: list[ApiKey]) -> None:
        partial = self.file.with_name(f".{self.file.name}.{os.getpid()}.partial")
        rows = [asdict(key) for key in keys]
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump({"keys": rows}, stream, indent=1)
            partial.replace(self.file)
        except OSError as error:
            raise _out_of_reach(error, self.file, "written") from error
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def key_file(lake: Path) -> KeyFile:
    """Of the deployment with that lake."""
    return KeyFile(lake / "api_keys.json")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _read(file: Path) -> dict[str, ApiKey]:
    try:
        rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["keys"]
        keys = [ApiKey(**(row | {"scopes": tuple(row["scopes"])})) for row in rows]
    except OSError as error:
        raise _out_of_reach(error, file, "read") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: is no list of keys ({error}); mend it or remove it, and make keys anew") from error
    return {key.id: key for key in keys}


def _out_of_reach(error: OSError, file: Path, how: str) -> ValueError:
    return ValueError(f"{file}: the keys cannot be {how} ({error.strerror}); mend that, or name another --lake")
