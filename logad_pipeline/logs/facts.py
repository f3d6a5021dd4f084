"""What one raw record says of particular things: who did what to whom, and which numbers it names.

Belongs here: reading entities and numbers out of a message. Does not: the masks that hide them from the
normalised text (``log_tokenizer``), nor any judgement of what is unusual (``detectors.records``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from logad_pipeline.logs.log_tokenizer import CHUNK, DATE, MAX_MESSAGE_CHARS, NOT_A_NAME, STATUS, may_hold_date
from logad_pipeline.logs.records import Record

Edge = tuple[str, str, str]
"""Subject, action, object; subject and object are typed names such as ``user:root`` or ``ip:10.0.0.1``."""

MAX_EDGES: Final = 8
"""Edges kept of one record; what is named beyond the first few seldom tells who did what."""

MAX_NUMBERS: Final = 32
"""Numbers kept of one record."""

RUNS: Final = "runs"
"""The action of the edge from a host to the program that wrote there."""

_ACTION_WORDS: Final = 8
_NAME_CHARS: Final = 120
_CACHED_RECORDS: Final = 32_768
_CACHED_CHUNKS: Final = 65_536

# The names that the user rules of the tokenizer drop; `by…` is who acts, `to…` whom it is done to.
_NAME = r"[\w.$@\\-]+"
_USERS: Final = re.compile(
    r"^\s*(?P<by_sudo>[\w.$-]+) : (?=(?:.*; )?(?:TTY|PWD|USER|COMMAND)=)"
    r"|^\s*\((?P<by_cron>[\w.$-]+)\) (?=[A-Z])"
    r"|\bby (?P<by_pam>[\w.-]+)(?=\(uid=)"
    r"|\bsu for (?P<to_su>\S+) by (?P<by_su>\S+)"
    rf"|\b(?:logname|ruser|auid)=[\"']?(?P<by_field>{_NAME})"
    r"|\b(?:password|publickey|keyboard-interactive/pam|none|hostbased|gssapi\S*|exceeded|shell on \S+|command)"
    r" for (?:(?:invalid|illegal) user )?(?P<to_login>\S+?)(?= from\b)"
    rf"|\b(?:(?:eff_)?user(?:name)?|acct|login|account|owner)=[\"']?(?P<to_field>{_NAME})"
    r"|\bnew (?:user|group): name=(?P<to_new>[^\s,]+)"
    rf"|\busers?(?:\s*:\s*|\s+)[\"'<(]?{NOT_A_NAME}(?P<to_word>[A-Za-z0-9_.$][\w.$@\\-]*)"
    r"|\b(?:add|delete|removed?|added) '(?P<to_group>[\w.$-]+)' (?:to|from)\b"
    r"|\b(?:(?:password|shadow entry) changed for|expiry information for) (?P<to_account>[\w.$-]+)",
    re.I,
)
_USER_CUES: Final = (
    "ser", " for ", "by ", "name=", "auid=", "acct=", "login=", "account=", "owner=", " : ", "(", "' to ", "' from ",
    "USER",
)  # fmt: skip
_VICTIM: Final = re.compile(r"\bkill(?:ed|ing) process (?:\d+,? )?\(?([A-Za-z][\w./:-]*)", re.I)
_UNIT_FILE: Final = re.compile(r"([\w@.-]+?)(?:@[\w.:-]*)?\.(?:service|socket|timer)\b")
_CLIENT: Final = re.compile(r"^\s*(?:\[client |client: )?(?=\d{1,3}\.\d|[0-9a-fA-F]+:)|\[client |\bclient: ")
_PORT: Final = re.compile(r"(?:/\d{1,2})?(?::\d+)?$")
_VOLATILE: Final = re.compile(
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|blk_-?\d+"
    r"|(?<![A-Za-z0-9])(?=[A-Fa-f]*\d)[0-9a-fA-F]{7,}(?![A-Za-z0-9])|(?<=/)\d+(?=/|$)|\d{3,}"
)
_ALGORITHM_OWNERS: Final = ("@openssh.com", "@lysator.liu.se", "@libssh.org", "@putty.projects.tartarus.org")
_HOST_NAME: Final = re.compile(r"[\w.-]*\w")
_NUMBER_PARTS: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")

_SECONDS: Final = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3, "s": 1.0, "sec": 1.0, "secs": 1.0,
    "second": 1.0, "seconds": 1.0, "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0, "d": 86_400.0, "day": 86_400.0,
    "days": 86_400.0, "week": 604_800.0, "weeks": 604_800.0,
}  # fmt: skip
_BYTE_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SIZE_UNIT: Final = re.compile(r"([kmgtp]?)(i?)(?:bytes?|b)?", re.I)
_SPELLED_UNITS: Final = frozenset(unit for unit in _SECONDS if len(unit) > 1)
_BYTE_WORDS: Final = re.compile(r"(?:[kmgt]i?b|bytes?|[kmgt]bytes?)", re.I)


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What one record says beyond its kind of event.

    Attributes:
        template: the normalised text of the message.
        edges: at most ``MAX_EDGES`` different (subject, action, object); nodes are ``user:``, ``ip:``,
            ``host:``, ``process:`` or ``file:`` and a name; the action is the program and the first words
            of the template. Ids that are never the same twice (process, block and session ids, UUIDs) are no
            nodes, and in the names of files they are ``*``.
        numbers: the values that the masks call num, duration (in seconds) and size (in bytes), in order of
            appearance, at most ``MAX_NUMBERS``. Digits inside a word (``eth0``) are not among them. A list
            whose length changes from record to record shifts the positions of what follows it.
        severity: the upper-case level word of the record, ``""`` where it has none.
    """

    template: str
    edges: tuple[Edge, ...]
    numbers: tuple[float, ...]
    severity: str = ""


def facts_of(record: Record, text: str) -> RecordFacts:
    """Read the facts of ``record``, whose normalised text is ``text``.

    Who acts is the user that the message names as acting (sudo, cron, ``by root(uid=0)``), else the client a
    web server names, else the program. What it acts on are the users, addresses, hosts, files and processes
    named besides. A user is also joined to the address the message names with it and to the host that
    wrote. Nothing but the layout of well-known messages tells user names apart from other words, so names
    in unusual sentences are missed. Equal records share one object.

    >>> message = "Failed password for root from 10.0.0.7 port 4022 ssh2"
    >>> record = Record(1, 1, None, "web1", "sshd", "811", "", message)
    >>> facts = facts_of(record, "failed password for user from ip port num ssh2")
    >>> [(subject, target) for subject, _, target in facts.edges]
    [('host:web1', 'process:sshd'), ('process:sshd', 'user:root'), ('user:root', 'ip:10.0.0.7'),
     ('user:root', 'host:web1'), ('process:sshd', 'ip:10.0.0.7')]
    >>> facts.numbers
    (4022.0,)
    """
    message = record.message[:MAX_MESSAGE_CHARS]
    return _facts(record.host, record.program, record.severity, message, text)


@lru_cache(maxsize=_CACHED_RECORDS)
def _facts(host: str, program: str, severity: str, message: str, text: str) -> RecordFacts:
    actors, targets, rest = _users(message)
    places, numbers = _things(rest)
    program = program.partition(" ")[0]
    words = " ".join(text.split(" ", _ACTION_WORDS)[:_ACTION_WORDS])
    action = f"{program}: {words}" if program else words
    process = _node("process", program)
    here = _node("host", host.lower())
    objects = targets + places + _processes(message)
    client = places[0] if places and places[0].startswith("ip:") and _CLIENT.search(message) else ""
    subject = actors[0] if actors else client or process or here
    edges = dict.fromkeys(_edges(subject, actors, objects, action, here))
    if here and process:
        edges = {(here, RUNS, process): None} | edges
    return RecordFacts(text, tuple(edges)[:MAX_EDGES], numbers, severity)


def _edges(subject: str, actors: list[str], objects: list[str], action: str, here: str) -> Iterator[Edge]:
    users = [node for node in objects if node.startswith("user:")]
    if subject:
        yield from ((subject, action, user) for user in users if user != subject)
    # The account that logs in or fails to is tied to where it comes from and where it goes.
    person = (actors or users)[:1]
    for user in person:
        yield from ((user, action, node) for node in objects if node.startswith("ip:"))
        if here:
            yield user, action, here
    if subject:
        yield from ((subject, action, node) for node in objects if node not in users and node != subject)


def _node(kind: str, name: str) -> str:
    """A typed name, ``""`` where there is none."""
    return f"{kind}:{name[:_NAME_CHARS]}" if name else ""


def _users(message: str) -> tuple[list[str], list[str], str]:
    """Who acts, who is acted upon, and the message without their names."""
    if not any(cue in message for cue in _USER_CUES):
        return [], [], message
    actors: list[str] = []
    targets: list[str] = []
    rest: list[str] = []
    end = 0
    for match in _USERS.finditer(message):
        for role, name in match.groupdict().items():
            if name:
                (actors if role.startswith("by") else targets).append(_node("user", name.strip("\"'<>(),;:.")))
                start = match.start(role)
                rest.append(message[end:start])
                end = start + len(name)
    rest.append(message[end:])
    return _different(actors), _different(targets), "".join(rest)


def _different(nodes: list[str]) -> list[str]:
    return [node for node in dict.fromkeys(nodes) if not node.endswith(":")]


def _processes(message: str) -> list[str]:
    """Processes that a message names as what was killed, started or stopped."""
    found = [_node("process", name) for name in _VICTIM.findall(message)] if "process" in message else []
    if ".service" in message or ".socket" in message or ".timer" in message:
        found += [_node("process", name) for name in _UNIT_FILE.findall(message)]
    return _different(found)


def _things(message: str) -> tuple[list[str], tuple[float, ...]]:
    """Addresses, hosts, files and numbers of a message, in order of appearance."""
    if may_hold_date(message):
        message = DATE.sub(" ", message)
    if "HTTP" in message or "tatus" in message:
        message = STATUS.sub(" ", message)
    nodes: list[str] = []
    numbers: list[float] = []
    bare = False
    for chunk in message.split():
        if chunk.isalpha():
            if bare and (factor := _spelled_unit(chunk)):
                numbers[-1] *= factor
            bare = False
            continue
        named, values, ends_bare = _chunk(chunk)
        if bare and not values and (factor := _spelled_unit(chunk.strip(".,;:()[]"))):
            numbers[-1] *= factor
        nodes += named
        numbers += values
        bare = ends_bare
    return _different(nodes), tuple(numbers[:MAX_NUMBERS])


def _spelled_unit(word: str) -> float | None:
    """What to multiply a number by that stands before ``word``, as the tokenizer joins the two."""
    if word in _SPELLED_UNITS:
        return _SECONDS[word]
    return _bytes_in(word) if _BYTE_WORDS.fullmatch(word) else None


def _bytes_in(unit: str) -> float:
    match = _SIZE_UNIT.match(unit)
    prefix, binary = (match.group(1), match.group(2)) if match else ("", "")
    return float((1024 if binary else 1000) ** _BYTE_POWERS[prefix.lower()])


@lru_cache(maxsize=_CACHED_CHUNKS)
def _chunk(chunk: str) -> tuple[tuple[str, ...], tuple[float, ...], bool]:
    """Nodes and numbers of a run of non-blank characters, and whether it ends in a number without unit."""
    if chunk.startswith("PWD="):
        return (), (), False
    nodes: list[str] = []
    numbers: list[float] = []
    bare = False
    end = 0
    for match in CHUNK.finditer(chunk):
        if match.start() < end:
            continue
        kind, word = match.lastgroup or "", match.group()
        if kind == "host" and (whole := _HOST_NAME.match(chunk, match.start())):
            # The mask may stop inside a name (``mail.net-star.com``): any part will do for a mask, not here.
            word, end = whole.group(), whole.end()
        bare = kind == "num" and match.end() >= len(chunk.rstrip(",;"))
        if kind in _READ_NUMBER:
            numbers += _READ_NUMBER[kind](word)
        elif kind in _READ_NODE and (node := _READ_NODE[kind](word)):
            nodes.append(node)
    return tuple(nodes), tuple(numbers), bare


def _address(word: str) -> str:
    word = word.lstrip("/").removeprefix("::ffff:")
    return _node("ip", _PORT.sub("", word) if "." in word else word.partition("%")[0].lower())


def _file(word: str) -> str:
    path = word.partition("?")[0].rstrip(".:") or "/"
    return _node("file", _VOLATILE.sub("*", path))


def _url(word: str) -> str:
    authority = word.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return _node("host", authority.partition(":")[0].lower())


def _amount(word: str) -> list[float]:
    if _THOUSANDS.fullmatch(word):
        return [float(word.replace(",", ""))]
    parts = _NUMBER_PARTS.findall(word.replace("-", " ") if word.find("-", 1) > 0 else word)
    return [float(part) for part in parts]


def _measured(word: str, factor: Callable[[str], float]) -> list[float]:
    match = _NUMBER_PARTS.match(word)
    return [float(match.group()) * factor(word[match.end() :])] if match else []


_READ_NODE: Final[dict[str, Callable[[str], str]]] = {
    "ip": _address,
    "ip6": _address,
    "host": lambda word: _node("host", word.lower()),
    "email": lambda word: "" if word.endswith(_ALGORITHM_OWNERS) else _node("user", word.lower()),
    "path": _file,
    "url": _url,
}
_READ_NUMBER: Final[dict[str, Callable[[str], list[float]]]] = {
    "num": _amount,
    "duration": lambda word: _measured(word, lambda unit: _SECONDS.get(unit.lower(), 1.0)),
    "size": lambda word: _measured(word, lambda unit: _bytes_in(unit.removesuffix("/s"))),
}
