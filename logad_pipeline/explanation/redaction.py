"""Secrets and personal data out of text that leaves: passwords, tokens, keys, addresses, e-mail, cards.

Belongs here: the rules. They err on the side of taking too much. The masks of ``logs.log_tokenizer`` serve
another end, equal text for equal events; what leaves goes through both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from logad_pipeline.logs.log_tokenizer import LogTokenizer

_MARK: Final = "\ue000"
"""Stands for a secret while the rules run, so that none of them takes the word for one that announces another."""

WORDS: Final = ("secret", "ip", "mac", "email", "card", "account", "phone", "id")
"""What stands in the place of what was taken out."""

_NAMES = (
    r"(?:[\w.-]*(?:pass(?:wor[dt]|wd|phrase|code)?|pwd|secret|tok(?:en)?|api[_-]?key|apikey|access[_-]?key|auth[_-]?key"
    r"|private[_-]?key|encryption[_-]?key|signing[_-]?key|account[_-]?key|credentials?|cookie|session(?:[_-]?id|[_-]?key)"
    r"|sid|jwt|csrf|xsrf|nonce|otp|pin|cvv|cvc|signature|sig|bearer|dsn)[\w.-]*)"
)
_VALUE = r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;&\"'}\])]+)"
_USUAL = (
    r"(?!(?:for|from|is|was|were|be|been|has|have|had|not|no|of|in|to|and|or|on|at|by|with|the|a|an|as|after|before"
    r"|changed|change|expired|expires|accepted|failed|failure|invalid|incorrect|wrong|bad|check|checks|checked|reset"
    r"|required|requested|request|requests|mismatch|missing|authentication|auth|authorization|login|user|users|unknown"
    r"|none|refused|denied|null|true|false|empty|set|unset|update|updated|refresh|refreshed|revoked|created|deleted|rotated|rotation"
    r"|opened|closed|started|ended|new|old|key|keys|token|tokens|validation|valid|verified|found|hash|file|store"
    r"|manager|service|server|aging|policy|expiry|prompt|too|must|cannot|could|will|id|ids|session|sessions|ssh\w*"
    r"|secret|password|ip|host|path|num|hex|uuid|email|url|date|time|duration|size|version|device|block|mac)\b)"
)

_RULES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"-----BEGIN [A-Z ]*(?:PRIVATE KEY|CERTIFICATE)[A-Z ]*-----.*?(?:-----END [A-Z ]*-----|$)", re.S),
     " \ue000 "),
    # An address's user and password, then whole addresses that carry a secret in their query.
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/@]+@", re.I), "\\1\ue000@"),
    (re.compile(r"\beyJ[\w-]{6,}(?:\.[\w-]*){0,4}"), " \ue000 "),
    (re.compile(
        r"\b(?:gh[pousr]_\w{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{8,}|[sprw]k_(?:live|test)_\w{8,}"
        r"|sk-[\w-]{16,}|A(?:KIA|SIA|ROA|IDA)[0-9A-Z]{12,}|AIza[\w-]{30,}|ya29\.[\w-]{10,}|npm_\w{20,}|pypi-[\w-]{16,}"
        r"|hf_\w{16,}|dop_v1_\w{20,}|SG\.[\w-]{10,}\.[\w-]{10,}|hvs\.[\w-]{10,}|shp\w{2}_\w{20,}|AGE-SECRET-KEY-\w+)"),
     " \ue000 "),
    (re.compile(r"\b(ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S+)\s+AAAA[\w+/=]+", re.I), "\\1 \ue000 "),
    (re.compile(r"\b(SHA256:|MD5:)[\w+/=:]{16,}"), "\\1 \ue000 "),
    (re.compile(r"\b((?:proxy-)?authorization\s*[:=]\s*[\"']?)(?:(?:basic|bearer|digest|token|negotiate|apikey)\s+)?[^\s\"',;]+",
                re.I), "\\1 \ue000 "),
    (re.compile(r"\b(bearer|basic)\s+(?=[\w.~+/=-]*[\d=+/._A-Z-])[\w.~+/=-]{6,}", re.I), "\\1 \ue000 "),
    (re.compile(rf"([\"']{_NAMES}[\"']\s*:\s*){_VALUE}", re.I), "\\1 \ue000 "),
    (re.compile(rf"(--?{_NAMES}(?:\s+|=)){_VALUE}", re.I), "\\1 \ue000 "),
    # A working directory is no password, though it is named like one.
    (re.compile(rf"\b(?!pwd=/)({_NAMES}\s*(?:=>|:=|[=:])\s*){_VALUE}", re.I), "\\1 \ue000 "),
    (re.compile(rf"\b(identified by\s+|{_NAMES}\s+(?:is|was|set to|changed to|given:?)\s+){_VALUE}", re.I),
     "\\1 \ue000 "),
    (re.compile(rf"\b([\w.-]*(?:pass(?:wor[dt]|wd|phrase|code)|pwd|secret|token|api[ _-]?key|credentials?|pin|otp|cvv)"
                rf"\s+){_USUAL}[^\s,;]+", re.I), "\\1 \ue000 "),
    (re.compile(r"(?<![\w.+%-])[\w.+%-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+", re.I), " email "),
    (re.compile(r"(?<![0-9A-Fa-f:.-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])"), " mac "),
    (re.compile(r"(?<![0-9A-Fa-f:.])(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}(?![\w.])"), " mac "),
    (re.compile(r"(?<![\d.])(?:::ffff:)?\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?::\d+)?(?![\d.]*\d)", re.I), " ip "),
    (re.compile(r"(?<![\w-])ip(?:-\d{1,3}){4}[\w.-]*", re.I), " ip "),
    (re.compile(r"(?<![\w:.])(?:(?:[0-9a-f]{1,4}:){3,7}(?:[0-9a-f]{1,4}|:)(?::[0-9a-f]{1,4})*"
                r"|(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}|(?:[0-9a-f]{1,4}:){1,7}:|::(?:[0-9a-f]{1,4}:){0,6}"
                r"[0-9a-f]{1,4})(?:%\w+)?(?:/\d{1,3})?(?![\w:])", re.I), " ip "),
    (re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?(?![A-Z0-9])"),
     " account "),
    (re.compile(r"(?<![\w.-])\d{3}-\d{2}-\d{4}(?![\w-])"), " id "),
    (re.compile(r"(?<![\w.])\+\d{1,3}[ ./-]?(?:\(?\d{1,5}\)?[ ./-]?){2,5}\d{2,}(?!\w)"), " phone "),
    (re.compile(r"(?<![\w.])\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?!\w)"), " phone "),
)  # fmt: skip
_CARD: Final = re.compile(
    r"(?<![\d.])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{5}|(?P<plain>\d{13,19}))(?![\d.]*\d)"
)
_LONG: Final = re.compile(r"(?<![\w+/=-])[\w+/=-]{20,}(?![\w+/=-])")
_SHORT_ID: Final = re.compile(r"(?<![\w+/=-])(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])\w{10,19}(?![\w+/=-])")


_REQUEST: Final = re.compile(r"\b((?:get|post|put|head|patch|delete|options) (?:path|url)\b).*? (?=http\b)")
_KEY_BLOCK: Final = re.compile(
    r"\bbegin [a-z ]*?(?:private key|certificate)\b.*?(?:\bend [a-z ]*?(?:private key|certificate)\b|$)"
)
_ANNOUNCES: Final = re.compile(
    r"(?:.*[-_.])?(?:pass(?:wor[dt]|wd|phrase|code)|pwd|secret|token|api[_-]?key|credentials?|cookie|session[_-]?id|jwt|otp"
    r"|pin|cvv|bearer)(?:[-_.].*)?|.*[-_.]pass"
)
_NOT_USUAL: Final = re.compile(_USUAL)
_STATUS: Final = re.compile(r"status\d{3}")
_TORN: Final = re.compile(r"\bsecret(?: num \S+| secret)+")
"""Pieces of one secret, of which a mask took a number out."""
_PARTS: Final = re.compile(r"[-_./:@#~]+")


def redact_normalised(text: str) -> str:
    """The same for text that the masks have been over already, of which no raw form is left.

    Lower case and without the signs that surround a value, it hides what the rules go by. So what stands between
    path and protocol of a request goes, the word behind one that announces a secret unless it is usual there, and
    words that are long or mix letters and digits.

    When it does not work: besides what ``redact`` misses, short pieces of a secret that the masks have torn apart.

    >>> redact_normalised("app started admin_pass monkey-qwerty port num")
    'app started admin_pass secret port num'
    """
    text = _KEY_BLOCK.sub("secret", _REQUEST.sub(r"\1 ", text))
    words: list[str] = []
    for word in redact(text).split():
        before = words[-1] if words else ""
        # A secret that was taken out announces no other.
        announced = before != "secret" and _ANNOUNCES.fullmatch(before) and _NOT_USUAL.match(word)
        words.append("secret" if announced or _made_by_a_machine(word) else word)
    return _TORN.sub("secret", " ".join(words))


def _made_by_a_machine(word: str) -> bool:
    if _STATUS.fullmatch(word):
        return False
    parts = _PARTS.split(word)
    mixed = any(len(part) >= 9 and not part.isalpha() and not part.isdigit() for part in parts)
    return mixed or "+" in word or "=" in word or any(len(part) >= 18 for part in parts)


def redact(text: str) -> str:
    """``text`` with secrets and personal data replaced by a word for their kind.

    Passwords, tokens, keys and cookies become ``secret``, and ``ip``, ``mac``, ``email``, ``card``, ``account``,
    ``phone`` and ``id`` stand for what they say. Long runs of mixed letters and digits count as secrets too.

    When it does not work: names of people and hosts, and a password that stands where no word announces it and
    looks like any other word.

    >>> redact("login of ann@example.org from 10.0.0.7 with password=hunter2 card 4111 1111 1111 1111")
    'login of email from ip with password= secret card card'
    """
    text = text.replace(_MARK, " ")
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _CARD.sub(_card, text)
    text = _LONG.sub(_long, text)
    text = _SHORT_ID.sub(_MARK, text)
    return " ".join(text.replace(_MARK, " secret ").split())


def _card(match: re.Match[str]) -> str:
    """Grouped as cards are, it is one; a plain number must have a card's check digit (Luhn, 1960)."""
    if not match["plain"]:
        return " card "
    digits = [int(char) for char in match["plain"]]
    doubled = [d if place % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for place, d in enumerate(reversed(digits))]
    return " card " if sum(doubled) % 10 == 0 else match.group()


def _long(match: re.Match[str]) -> str:
    word = match.group()
    path = "/" in word and not any(char in word for char in "+=")
    parts = word.split("/") if path else [word]
    # A path is many short words; what mixes digits and both cases in one of them was made by a machine.
    limits = (20, 2) if not path else (4, 3)
    return _MARK if any(len(part) >= limits[0] and _mixture(part) >= limits[1] for part in parts) else word


def _mixture(word: str) -> int:
    return sum(any(test(char) for char in word) for test in (str.isdigit, str.islower, str.isupper))


def for_others(message: str, normalise: Callable[[str], str] | None = None) -> str:
    """A message as it may leave: redacted, then masked as the model's own text is.

    >>> for_others("Failed password for root from 192.168.1.10 port 4022")
    'failed password for user from ip port num'
    """
    return (normalise or LogTokenizer().normalise)(redact(message))
