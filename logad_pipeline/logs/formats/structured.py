"""JSON lines: one object a line, under the field names that logging libraries and collectors use.

Belongs here: reading such objects and finding time, level, host, logger, process and message in them.
Does not: the systemd journal (`journald`) and container runtimes (`containers`), which have fixed names.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from ..clock import Clock
from .base import Fields, LogFormat
from .syslog import SEVERITIES
from .timestamps import epoch_us, text_us

# Lower case, most telling first; a dot leads into a nested object. They cover OpenTelemetry, ECS, bunyan,
# pino, zap, logrus, structlog, Serilog, GELF, log4j 2, python-json-logger, Cloud Logging and MongoDB.
_TIME: Final = (
    "@timestamp", "timestamp", "timeunixnano", "observedtimeunixnano", "time", "ts", "@t", "datetime",
    "asctime", "timemillis", "eventtime", "log_time", "date", "t.$date", "instant.epochsecond",
)  # fmt: skip
_LEVEL: Final = (
    "severitytext", "severity_text", "log.level", "level", "severity", "levelname", "loglevel", "lvl", "@l",
    "priority", "s",
)  # fmt: skip
_OTEL_LEVEL: Final = ("severitynumber", "severity_number")
_HOST: Final = (
    "host.name", "host.hostname", "resource.host.name", "hostname", "host", "agent.hostname", "node",
)  # fmt: skip
_LOGGER: Final = (
    "log.logger", "logger", "loggername", "logger_name", "scope.name", "component", "module", "name",
    "process.name", "service.name", "resource.service.name", "service", "program", "app", "application", "c",
)  # fmt: skip
_PID: Final = (
    "process.pid", "resource.process.pid", "pid", "_pid", "process_id", "processid", "process",
    "thread_id", "tid", "thread", "thread_name", "threadname", "ctx",
)  # fmt: skip
_MESSAGE: Final = (
    "message", "msg", "@m", "body", "body.stringvalue", "short_message", "event", "text", "log",
    "textpayload", "jsonpayload.message", "@mt", "full_message",
)  # fmt: skip
_TRACE: Final = (
    "error.stack_trace", "stack_trace", "stacktrace", "exc_info", "exception", "err.stack", "error.stack",
    "@x", "thrown.extendedstacktrace", "traceback",
)  # fmt: skip

_BUNYAN_LEVELS: Final = {10: "TRACE", 20: "DEBUG", 30: "INFO", 40: "WARN", 50: "ERROR", 60: "FATAL"}
_OTEL_LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_MONGODB_LEVELS: Final = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "FATAL", "D": "DEBUG"}
# Half of a surrogate pair, which JSON may spell and UTF-8 may not; those that stand for raw bytes stay.
_LONE_SURROGATE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def read_object(line: str) -> dict[str, Any] | None:
    """The JSON object that the whole line is, or ``None``."""
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def scalar_text(value: object) -> str:
    """A JSON value as text: strings as they are, ``""`` for null, others as JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _LONE_SURROGATE.sub("\ufffd", text)


class JsonLines(LogFormat):
    """One JSON object a line, with a time, a level or a message under one of the usual names.

    Names are looked up at the top and one level below, whatever their case. Fields without a part in a
    record are left out, but an object without a message is its own message. A stack trace that has a
    field of its own is put below the message.
    """

    name = "json"
    description = 'JSON lines: {"time": "…", "level": "info", "msg": "text"}'

    def parse(self, line: str, clock: Clock) -> Fields | None:
        entry = read_object(line)
        if entry is None:
            return None
        flat = _flattened(entry)
        time, message = _first(flat, _TIME), _first(flat, _MESSAGE)
        severity = _severity(flat)
        if time is None and message is None and not severity:
            return None
        text = line if message is None else scalar_text(message)
        trace = _first(flat, _TRACE)
        if isinstance(trace, str) and message is not None:
            text = f"{text}\n{scalar_text(trace)}"
        return Fields(
            _time_us(time, clock),
            scalar_text(_first(flat, _HOST)),
            scalar_text(_first(flat, _LOGGER)),
            scalar_text(_first(flat, _PID)),
            severity,
            text,
        )


def _flattened(entry: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        name = key.lower()
        if isinstance(value, dict):
            for inner, inner_value in value.items():
                flat.setdefault(f"{name}.{inner.lower()}", inner_value)
        else:
            flat.setdefault(name, value)
    return flat


def _first(flat: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Value of the first name that has a plain one."""
    for name in names:
        value = flat.get(name)
        if value is not None and value != "" and not isinstance(value, (dict, bool)):
            return value
    return None


def _time_us(value: Any, clock: Clock) -> int | None:
    if isinstance(value, (int, float)):
        return epoch_us(value)
    return text_us(value.strip(), clock) if isinstance(value, str) else None


def _severity(flat: dict[str, Any]) -> str:
    level = _first(flat, _LEVEL)
    if isinstance(level, str):
        return _MONGODB_LEVELS.get(level, scalar_text(level).upper())
    if isinstance(level, int):
        if 0 <= level < len(SEVERITIES):
            return SEVERITIES[level]
        return _BUNYAN_LEVELS.get(level, str(level))
    number = _first(flat, _OTEL_LEVEL)
    if isinstance(number, int) and 1 <= number <= 24:
        return _OTEL_LEVELS[(number - 1) // 4]
    return ""
