"""Message -> normalised text: times and levels removed, variables replaced by typed words.

Belongs here: the masks, their version, and how they are applied. Does not belong here: cutting a line
into header and message (``formats``), or the WordPiece tokenizer of the model (``detectors.encoder``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

MASK_VERSION: Final = "2"
"""Changes whenever any message may come out differently; it travels with every table and model."""

MAX_MESSAGE_CHARS: Final = 1024
"""Characters of a message that are read; what lies beyond says little about what kind of event it is."""

MAX_WORDS: Final = 64
"""Words kept of a normalised message."""

EMPTY: Final = "empty"
"""What a message without a single letter or digit becomes."""

TYPED_WORDS: Final = (
    "ip", "user", "host", "path", "url", "uuid", "hex", "num", "block", "mac", "email", "device",
    "date", "time", "duration", "size", "version", "id",
)  # fmt: skip

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?(?:\s?[AP]M\b)?"
_ZONE = r"(?:\s?(?:Z\b|UTC\b|GMT\b|[+-]\d{2}:?\d{2}\b))?"

_LEADING_LEVEL = re.compile(
    r"^\s*(?:[\[<(](?P<a>TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|CRIT(?:ICAL)?|FATAL|ALERT|EMERG"
    r"|SEVERE)[\]>)]\s*[:|-]?|(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL|SEVERE)\s*[:|-])\s*"
)
DATE = re.compile(
    rf"(?<![\w/\\])(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)?(?:"
    rf"{_MONTH}\s+\d{{1,2}},?(?:\s+\d{{4}})?\s+{_CLOCK}{_ZONE}(?:\s+(?:[A-Z]{{3,4}}\s+)?\d{{4}}\b)?"
    rf"|\d{{1,2}}[ /-]{_MONTH}[ /-]\d{{2,4}}(?:[ :T]{_CLOCK}{_ZONE})?"
    rf"|{_MONTH}\s+\d{{1,2}},?\s+\d{{4}}"
    rf"|\d{{4}}[-/.]\d{{2}}[-/.]\d{{2}}(?:[ T_-]\d{{1,2}}[:.]\d{{2}}(?:[:.]\d{{2}})?(?:[.,]\d+)?{_ZONE})?"
    rf"|\d{{1,2}}/\d{{1,2}}/\d{{2,4}}(?:\s+{_CLOCK})?"
    rf")(?![\w])"
)

# Where the name of a user is known from the words around it. Each pattern keeps the words and drops the name.
NOT_A_NAME = (
    r"(?!(?:unknown|not|is|has|was|does|name|names|limit|logged|account|id|ids|space|agent|session|sessions"
    r"|process|processes|data|mode|from|by|on|in|to|and|or|with|for|request|requests|authentication|manager"
    r"|identity|slice|runtime)\b)"
)
_USER_RULES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\b((?:password|publickey|keyboard-interactive/pam|none|hostbased|gssapi\S*) for "
                r"(?:(?:invalid|illegal) user )?)\S*?(?= from\b)", re.I), r"\1 user"),
    (re.compile(rf"\b(users?)(?:\s*[=:]\s*|\s+)[\"'<(]?{NOT_A_NAME}[A-Za-z0-9_.$][\w.$@\\-]*[\"'>)]?", re.I),
     r"user "),
    (re.compile(r"\b((?:r|eff_)?user(?:name)?|logname|acct|auid|login|account|owner)=[\"']?[\w.$@\\-]+[\"']?", re.I),
     r"\1 user"),
    (re.compile(r"\b(new (?:user|group): name)=[^\s,]+", re.I), r"\1 user"),
    (re.compile(r"\bsu for \S+ by \S+", re.I), "su for user by user"),
    (re.compile(r"\bby [\w.-]+(?=\(uid=)", re.I), "by user "),
    (re.compile(r"^\s*[\w.$-]+ : (?=(?:.*; )?(?:TTY|PWD|USER|COMMAND)=)"), "user "),
    (re.compile(r"^\s*\([\w.$-]+\) (?=[A-Z])"), "user "),
    (re.compile(r"\b(add|delete|remove|removed|added) '[\w.$-]+' (to|from)\b", re.I), r"\1 user \2"),
    (re.compile(r"\b((?:password|shadow entry) changed for|expiry information for) [\w.$-]+", re.I), r"\1 user"),
)  # fmt: skip
_USER_CUES: Final = (
    "user", "password", "publickey", "interactive", "hostbased", "gssapi", "none", "su for", "logname", "uid", "acct",
    "login", "account", "owner", "new group", "shadow", "expiry", "command=", "'",
)  # fmt: skip
"""A message without any of these, in lower case, names no user by the rules above; looking for them is quicker."""
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMERIC_DATE: Final = re.compile(r"\d{4}[-/.]\d\d[-/.]\d\d|\d/\d{1,2}/\d\d")

_TLD = r"(?:com|net|org|edu|gov|mil|info|biz|local|localdomain|internal|lan|home|corp|test|example|invalid)"
_HEXRUN = r"(?=[0-9a-fA-F]*[0-9])(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{7,}"
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_IPV4 = r"(?:\d{1,3}\.){3}\d{1,3}"

# One alternation over a chunk (a run of non-blank characters): the name of the group is the typed word.
CHUNK = re.compile(
    rf"(?P<http>\bHTTP/\d(?:\.\d)?\b)"
    rf"|(?P<url>\b[A-Za-z][A-Za-z0-9+.-]{{1,15}}://[^\s\"'<>\])]+)"
    rf"|(?P<email>[\w.+%-]+@[\w-]+(?:\.[\w-]+)+)"
    rf"|(?P<uuid>(?:\breq-)?\b{_UUID}\b)"
    rf"|(?P<block>\bblk_-?\d+(?:_\d+)?)"
    rf"|(?P<mac>\b(?:[0-9a-fA-F]{{2}}[:-]){{5}}[0-9a-fA-F]{{2}}\b)"
    rf"|(?P<ip>(?<![\w.])/?(?:::ffff:)?{_IPV4}(?![\w.]*[\w])(?:/\d{{1,2}})?(?::\d+)?\b"
    rf"|(?<![\w.])/?{_IPV4}(?=[:/.,;]?\W|[:/.,;]?$)(?::\d+)?)"
    rf"|(?P<time>(?<![\w.:]){_CLOCK}(?![\w:]))"
    rf"|(?P<ip6>(?<![\w:.])(?:(?:[0-9a-fA-F]{{1,4}}:){{3,7}}(?::?[0-9a-fA-F]{{1,4}})?(?::[0-9a-fA-F]{{1,4}})*"
    rf"|(?:[0-9a-fA-F]{{1,4}}:){{1,6}}:(?:[0-9a-fA-F]{{1,4}}(?::[0-9a-fA-F]{{1,4}})*)?"
    rf"|::(?:[0-9a-fA-F]{{1,4}}(?::[0-9a-fA-F]{{1,4}})*)?)(?:%\w+)?(?![\w:]))"
    rf"|(?P<device>(?<![\w./])(?:/dev/[\w/-]+|(?:[shvx]v?d[a-z]\d*|nvme\d+(?:n\d+)?(?:p\d+)?|(?:eth|wlan|usb|md(?!5\b)|loop|sr|ram"
    rf"|veth|docker|bond|tun|tap|lo|fd|cpu)\d+(?::\d+)?|en[ops]\d\w*|ttyS?\d+|pts/\d+|dm-\d+|br-[0-9a-f]+|tap[0-9a-f-]{{8,}}"
    rf"|ata\d+(?:\.\d+)?|(?:qbr|qv[bo]|tap|q[rg]-)[0-9a-f]{{8}}-[0-9a-f]{{2}})(?![\w]))[:,]?)"
    rf"|(?P<path>(?<![\w.])(?:~|\.{{1,2}})?/[^\s\"'<>|;,()\[\]{{}}]*|\b[A-Za-z]:\\[^\s\"'<>|]*"
    rf"|(?<![\w./])[\w.-]+(?:/[\w.@%+~-]+){{2,}}/?)"
    rf"|(?P<hex>\b0[xX][0-9a-fA-F]+\b|(?<![\w]){_HEXRUN}\b|\b[0-9a-fA-F]{{16,}}\b)"
    rf"|(?P<duration>(?<![\w.])[+-]?\d+(?:\.\d+)?(?:ns|us|µs|ms|msecs?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\b)"
    rf"|(?P<size>(?<![\w.])\d+(?:\.\d+)?(?:[KMGTP]i?B?|[kmgtp]i?[bB]|[bB]ytes?|[bB])(?:/s)?\b)"
    rf"|(?P<host>\bip(?:-\d{{1,3}}){{4}}[\w.-]*|(?<![\w])(?:[A-Za-z0-9-]+\.)+{_TLD}\b(?![\w.]*\w)"
    rf"|(?<![\w])(?:[A-Za-z0-9][A-Za-z0-9-]*\.){{2,}}[a-z]{{2}}\b(?![\w.]*\w))"
    rf"|(?P<version>(?<![\w.])v?\d+\.\d+\.\d+[\w.~+-]*|(?<![\w.])v\d+(?:\.\d+)+)"
    rf"|(?P<num>(?<![A-Za-z0-9_.-])[+-]?\d+(?:[.,:/x*-]\d+)*[%]?(?![A-Za-z0-9_]))"
)
STATUS = re.compile(r"\b(HTTP(?:/\d(?:\.\d)?)?\"?\s|status(?:[ _]code)?[:= ])\s*([1-5]\d\d)\b", re.I)
_DIGITS_IN_WORD = re.compile(r"(?<![0-9])(?:(?<=[-_#.])\d+|\d{2,})(?![0-9])")
_KEEP_DIGITS = re.compile(
    r"^(?:x86_64|i[3-6]86|amd64|arm64|utf-?(?:8|16|32)|iso-?8859\S*|sha-?(?:1|224|256|384|512)\S*|md5|ipv[46]|ssh-?[12]"
    r"|http-?[123]|base64|win(?:32|64)|lib(?:32|64)|ext[234]|aes\d+\S*|ed25519|crc32|int(?:8|16|32|64)"
    r"|u?int\d+_t|float(?:16|32|64)|k8s|s3|ec2|oauth2|status\d{3})$"
)
_HEX_WORD = re.compile(r"^(?=.*\d)(?=.*[a-f])[0-9a-f]{4,}$")
_ID_WORD = re.compile(r"^(?=.*[a-z])(?=(?:\D*\d){4})[a-z0-9]+$")
_PREFIXED_ID = re.compile(
    r"^([a-z]+(?:_[a-z]+)*)_(?=[0-9a-f]{8,}$|\d+(?:[a-z]+\d+){2}|(?:[a-z]+\d+){3})(?=[0-9]*[a-z])(?=(?:[a-z]*\d){2})[a-z0-9]{8,}$"
)
"""An id behind the name of its kind, as in ``pay_3f29c01b7e``."""
_NOT_TEXT = re.compile(r"[^\w.*/+-]+")
_EDGES = re.compile(r"(?<![\w])[./*+_-]+|[./*+_-]+(?![\w])")
_LIST = re.compile(rf"\b({'|'.join(TYPED_WORDS)})(?:(?: and| or)? \1\b)+")
_UNIT = re.compile(r"\bnum (?=(?:ns|us|ms|msecs?|secs?|seconds?|mins?|minutes?|hours?|hrs?|days?|weeks?)\b)"
                   r"(?:\w+)")  # fmt: skip
_BYTES = re.compile(r"\bnum (?:[kmgt]i?b|bytes?|[kmgt]bytes?)\b")


def may_hold_date(text: str) -> bool:
    """Whether it is worth looking for ``DATE`` in ``text``."""
    return any(month in text for month in _MONTHS) or _NUMERIC_DATE.search(text) is not None


def _typed(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "ip6":
        kind = "ip"
    return f" {kind} "


def _mask_digits(word: str) -> str:
    if _HEX_WORD.match(word):
        return "hex"
    if _ID_WORD.match(word):
        return "id"
    if prefixed := _PREFIXED_ID.match(word):
        return f"{prefixed[1]} id"
    parts = _DIGITS_IN_WORD.sub(" num ", word).split()
    return " ".join(stripped for part in parts if (stripped := part.strip("-_.")))


def _mask_chunk(chunk: str) -> str:
    """Typed words for one run of non-blank characters; plain words come back lower-cased."""
    text = CHUNK.sub(_typed, chunk) if not chunk.isalpha() else chunk
    words = _NOT_TEXT.sub(" ", text).lower().split()
    out = []
    for word in words:
        if not word.isalpha():
            word = _EDGES.sub("", word)
            if any(c.isdigit() for c in word) and not _KEEP_DIGITS.match(word):
                word = _mask_digits(word)
        if word:
            out.append(word)
    return " ".join(out)


class LogTokenizer:
    """The rules that turn a message into its normalised text.

    The text keeps what kind of event a message reports and drops what is peculiar to the one event:
    addresses, names of users, numbers, paths. Equal texts are one template, so no template parser is
    needed. It does not work where the peculiar part is the point (a request to ``/etc/passwd`` looks
    like any other path), nor on languages whose words are not separated by blanks.

    Results of recent chunks are kept in a bounded dictionary, since log lines repeat their words.

    >>> LogTokenizer().normalise("Failed password for root from 192.168.1.10")
    'failed password for user from ip'
    """

    mask_version: str = MASK_VERSION

    def __init__(self, cache_size: int = 50_000) -> None:
        self._cache: dict[str, str] = {}
        self._cache_size = cache_size

    def normalise(self, message: str) -> str:
        """Return the normalised text of one message (its header already removed).

        The result is lower-case, single-spaced, at most ``MAX_WORDS`` words long and never empty
        (``EMPTY`` where nothing is left). The same message always gives the same text.
        """
        text = message[:MAX_MESSAGE_CHARS]
        text = _LEADING_LEVEL.sub("", text, count=1)
        if may_hold_date(text):
            text = DATE.sub(" date ", text)
        lowered = text.lower()
        if "http" in lowered or "status" in lowered:
            # An HTTP status is a word of a small vocabulary, and the one that matters: keep it from 'num'.
            text = STATUS.sub(r"status\2", text)
        if any(cue in lowered for cue in _USER_CUES) or text.lstrip().startswith("("):
            for pattern, replacement in _USER_RULES:
                text = pattern.sub(replacement, text)
        words = [masked for chunk in text.split() if (masked := self._chunk(chunk))]
        return _finish(" ".join(words))

    def _chunk(self, chunk: str) -> str:
        known = self._cache.get(chunk)
        if known is None:
            if len(self._cache) >= self._cache_size:
                self._cache.clear()
            known = self._cache[chunk] = _mask_chunk(chunk)
        return known


def _finish(text: str) -> str:
    """Collapse repeated typed words and put counted units into one word."""
    text = _LIST.sub(r"\1", text)
    if "num " in text:
        text = _BYTES.sub("size", _UNIT.sub("duration", text))
        text = _LIST.sub(r"\1", text)
    words = text.split(None, MAX_WORDS)[:MAX_WORDS]
    return " ".join(words) or EMPTY


def log_tokenizer(line: str, normalise: Callable[[str], str] | None = None) -> str:
    """Normalise one raw log line, header and all: the whole of the preprocessing for one line.

    The format is detected from the line alone, so a file is better read with
    :func:`logad_pipeline.logs.parser.read_records`, which looks at many lines first.

    >>> log_tokenizer("Oct 10 12:00:00 sshd[1000]: Failed password for root from 192.168.1.10")
    'failed password for user from ip'
    """
    from logad_pipeline.logs.parser import message_of

    return (normalise or LogTokenizer().normalise)(message_of(line))
