"""The Arrow schema of every table of the lake, and what each column means.

Belongs here: names, types and units of columns. Does not: reading or writing them, which `tables` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pyarrow as pa

__all__ = [
    "ADDED_LATER", "ALERTS", "DAYS", "FEEDBACK", "LEDGER", "NORMALIZED", "NOTICES", "PARTITIONED", "QUARANTINE",
    "SCHEMAS", "SCORES", "SUPPRESSED", "WINDOWS",
]  # fmt: skip

_TIME: Final = pa.timestamp("us", tz="UTC")
# Delta names the values of a list `element`; the same name here keeps what is read equal to what was written.
_INTS: Final = pa.list_(pa.field("element", pa.int64()))
_FLOATS: Final = pa.list_(pa.field("element", pa.float64()))
_RUNS: Final = pa.list_(pa.field("element", pa.struct([("first_line", pa.int64()), ("lines", pa.int64())])))
_EDGES: Final = pa.list_(
    pa.field("element", pa.struct([("subject", pa.string()), ("action", pa.string()), ("object", pa.string())]))
)

LEDGER: Final = pa.schema(
    [
        ("file_sha256", pa.string()),  # of the file's bytes as they came, 64 hex digits; of a rest see below
        ("source", pa.string()),  # file name without compression, rotation number or date: auth.log
        ("original_path", pa.string()),  # where the file lay when it was landed
        ("format", pa.string()),  # name of the log format by which it was split, and is parsed again
        ("tz", pa.string()),  # zone of its stamps that name none: a name, UTC, or +02:00
        ("landed_at", _TIME),
        ("file_bytes", pa.int64()),  # bytes of the file as it came
        ("file_lines", pa.int64()),  # physical lines of the file, unpacked
        ("day", pa.date32()),  # event day, in tz
        ("day_lines", pa.int64()),  # lines of the file that fell on the day
        ("runs", _RUNS),  # where those lines stood in the landed file, 1-based, ascending
        ("first_year", pa.int64()),  # of the day's first dated line in tz; null if lines name their year
        ("first_time", _TIME),  # of the day's first line that has a time, in file order; null if none
        ("raw_path", pa.string()),  # the day's bytes, relative to the lake's root
        ("timed", pa.bool_()),  # false: no line of the file has a time, the day was given to it as a whole
        ("content_sha256", pa.string()),  # of the file's bytes unpacked; null as below
        ("content_bytes", pa.int64()),  # how many those are; null as below
        ("continues_sha256", pa.string()),  # of a rest: file_sha256 of the landing that it continues; else null
    ]
)
"""A row per landed file and day; columns that a row was written without, by an earlier release, are null.

A log that went on after it was landed has rows for each rest too. A rest is named by the sha256 of the log from its
beginning to the end of the rest, unpacked, and file_bytes counts those bytes; file_lines counts its own lines, and
runs number them as in the log.
"""

NORMALIZED: Final = pa.schema(
    [
        ("day", pa.date32()),
        ("record_id", pa.int64()),  # 0, 1, 2 … within the day: by source, then file, then line
        ("timestamp", _TIME),  # null where the record has no time
        ("host_name", pa.string()),  # this and the next three: "" where unknown
        ("service_name", pa.string()),  # the program, logger or component
        ("process_pid", pa.string()),
        ("severity_text", pa.string()),  # as it stood, upper case
        ("body", pa.string()),  # the message, header removed; what is no UTF-8 became U+FFFD
        ("source", pa.string()),
        ("file_sha256", pa.string()),  # the landed file that the line numbers count in
        ("first_line", pa.int64()),  # 1-based, in the landed file
        ("last_line", pa.int64()),  # >= first_line; greater where continuation lines follow
        ("text", pa.string()),  # the normalised message
        ("text_id", pa.int64()),  # first 8 bytes of blake2b of text, big-endian, signed
        ("group_key", pa.string()),  # key of the record under group_by; "" where it has none
        ("group_by", pa.string()),  # the rule that group_key was made by
        ("mask_version", pa.string()),  # version of the rules that text was made by
        ("edges", _EDGES),  # who did what to whom: typed names, see RecordFacts; null as below
        ("numbers", _FLOATS),  # named in the message, durations in seconds, sizes in bytes; null as below
    ]
)
"""A row per log record of a day; columns that a day was written without, by an earlier release, are null."""

QUARANTINE: Final = pa.schema(
    [
        ("day", pa.date32()),
        ("source", pa.string()),
        ("file_sha256", pa.string()),
        ("line", pa.int64()),  # 1-based, in the landed file
        ("raw", pa.binary()),  # the line without its end; 1 MiB of it at most
        ("reason", pa.string()),
    ]
)
"""A row per physical line that is no record and continues none."""

_WINDOW: Final = [
    ("day", pa.date32()),
    ("window_id", pa.string()),  # 16 hex digits, the same whenever the same lines are cut the same way
    ("source", pa.string()),
    ("group_key", pa.string()),
]
_LINES: Final = [
    ("lines", _INTS),  # first line of each record in its landed file
    ("text_ids", _INTS),  # normalised text of each record
    ("first_line", pa.int64()),  # of the first record
    ("last_line", pa.int64()),  # of the last record
    ("first_time", _TIME),  # earliest time of its records; null where none has one
    ("last_time", _TIME),  # latest time of its records
]

WINDOWS: Final = pa.schema(
    [
        *_WINDOW,
        ("record_ids", _INTS),  # its records as they are read, see settled_order; lines and text_ids run parallel
        *_LINES,
        ("window_spec", pa.string()),  # JSON of the WindowSpec
        ("mask_version", pa.string()),
    ]
)
"""A row per window of a day."""

SCORES: Final = pa.schema(
    [
        *_WINDOW,
        *_LINES,
        ("score", pa.float64()),  # 0 (normal) … 1 (anomalous)
        ("risk", pa.string()),  # name of the risk level of the score
        ("is_anomaly", pa.bool_()),
        ("detectors", pa.map_(pa.string(), pa.float64())),  # score of each detector, by its name
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("mask_version", pa.string()),
        ("log10_p", pa.float64()),  # calibrated p-value behind the score, before the day's threshold; null as below
        ("worst", pa.int64()),  # place in lines and text_ids of the line that surprised most; null as below
        ("unseen", pa.int64()),  # records with a text that the model has not learned from; null as below
    ]
)
"""A row per scored window of a day; columns that it was written without, by an earlier release, are null."""

_HOST_DAY: Final = pa.struct(
    [
        ("host", pa.string()),  # or session, or file: what windows were cut from
        ("windows", pa.int64()),
        ("alerts", pa.int64()),  # of them, before feedback and suppressions
        ("rate", pa.float64()),  # share of its windows that may raise an alarm
        ("own", pa.float64()),  # a stricter rate than the budget's, for what it was like before; null for none
        ("in_force", pa.float64()),  # where the day began; null for a fixed threshold
        ("recent_kinds", _INTS),
    ]
)

DAYS: Final = pa.schema(
    [
        ("day", pa.date32()),
        ("judged_at", _TIME),
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("windows", pa.int64()),  # 0: the day had no data
        ("alerts", pa.int64()),  # of them, before feedback and suppressions
        ("hosts", pa.int64()),  # streams that windows were cut from: hosts where they are grouped by host
        ("records", pa.int64()),  # in those windows
        ("unseen", pa.int64()),  # of them, with a text that the model has not learned from
        ("psi", pa.float64()),  # population stability of the scores against the held-out ones; null if too few
        ("promised_rate", pa.float64()),  # share of normal windows that may raise an alarm
        ("budget", pa.float64()),  # alerts a day and host that the rate was made of; null if it was given itself
        ("in_force", pa.float64()),  # the rate in force where the day began; null if fixed, or of each host its own
        ("recent_kinds", _INTS),  # kinds of the windows before the day that the threshold remembers
        ("files", pa.int64()),  # landed files with lines on the day that were seen
        ("by_host", pa.list_(pa.field("element", _HOST_DAY))),  # under a budget; null where written without
    ]
)
"""One row per judged day: what its verdicts were made with, and what they came to."""

ALERTS: Final = pa.schema(
    [
        ("day", pa.date32()),
        ("alert_id", pa.string()),  # 12 hex digits; the same for the same line of the same stream on any day
        ("source", pa.string()),
        ("group_key", pa.string()),
        ("text_id", pa.int64()),  # of the line that surprised most in its windows
        ("text", pa.string()),
        ("windows", pa.int64()),  # of the day that raised it
        ("contested", pa.int64()),  # of them, called normal by a person
        ("suppressed", pa.int64()),  # of them, kept quiet by a suppression
        ("suppression", pa.string()),  # name of the last one that did; "" for none
        ("score", pa.float64()),  # highest
        ("risk", pa.string()),
        ("window_ids", pa.list_(pa.field("element", pa.string()))),  # highest score first; 50 at most
        ("first_time", _TIME),  # of the day's windows of it
        ("last_time", _TIME),
        ("first_seen", _TIME),  # as far back as the lake went when the row was written; `read_alerts` looks again
        ("model_version", pa.string()),
    ]
)
"""A row per group of alerts of a day. It is open while windows > contested + suppressed."""

SUPPRESSED: Final = pa.schema(
    [
        ("day", pa.date32()),
        ("suppression", pa.string()),
        ("window_id", pa.string()),
        ("first_time", _TIME),
    ]
)
"""A row per alarm that a suppression kept quiet."""

NOTICES: Final = pa.schema(
    [
        ("alert_id", pa.string()),
        ("day", pa.date32()),  # of the alerts that the notice told of
        ("sink", pa.string()),  # webhook or file
        ("at", _TIME),
    ]
)
"""A row per notice that was given; rows are only added."""

FEEDBACK: Final = pa.schema(
    [
        ("window_id", pa.string()),
        ("day", pa.date32()),  # of the window
        ("verdict", pa.string()),  # normal, anomalous, or withdrawn
        ("note", pa.string()),  # why, in the author's words; may be empty
        ("author", pa.string()),
        ("at", _TIME),  # when it was said; of one window the latest counts
        ("source", pa.string()),  # this and the rest: the window as it was judged then
        ("group_key", pa.string()),
        ("text_ids", _INTS),
        ("score", pa.float64()),  # null where it was not judged yet
        ("model_version", pa.string()),  # null where it was not judged yet
    ]
)
"""A row each time that a person gave a verdict on a window, or took one back; rows are only added."""

SCHEMAS: Final[Mapping[str, pa.Schema]] = MappingProxyType(
    {
        "ledger": LEDGER,
        "normalized": NORMALIZED,
        "quarantine": QUARANTINE,
        "windows": WINDOWS,
        "scores": SCORES,
        "feedback": FEEDBACK,
        "days": DAYS,
        "alerts": ALERTS,
        "suppressed": SUPPRESSED,
        "notices": NOTICES,
    }
)
"""Schema by table name."""

PARTITIONED: Final = frozenset({"normalized", "quarantine", "windows", "scores", "days", "alerts", "suppressed"})
"""Tables that are partitioned by `day` and replaced a day at a time; the others only grow."""

ADDED_LATER: Final = frozenset({"feedback", "days", "alerts", "suppressed", "notices"})
"""Tables that a lake of an earlier release lacks; they are made, empty, when they are first asked for."""
