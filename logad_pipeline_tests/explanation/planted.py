"""Secrets and personal data planted in log lines, from a seed: what must not leave."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable, Iterator

_WORDS = ("river", "monkey", "dragon", "autumn", "Summer", "qwerty", "letmein", "orange", "Passau", "tiger", "welcome")
_PLACES = (
    "{}", "request failed: {}", "INFO auth: {} ok", "user ann logged in; {}; retrying",
    '{{"msg": "{}", "level": "info"}}', "GET /login?{} HTTP/1.1", "worker-3 [{}] done in 12 ms", "config loaded ({})",
    "env: PATH=/usr/bin {} HOME=/root",
)  # fmt: skip


def _letters(rng: random.Random, size: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choice(alphabet) for _ in range(size))


def _password(rng: random.Random) -> str:
    word = rng.choice(_WORDS)
    return rng.choice((
        f"{word}{rng.randrange(10, 9999)}", f"{word}!{rng.randrange(100)}", _letters(rng, 9),
        f"{word}-{rng.choice(_WORDS)}",
        f"{rng.choice(_WORDS)}$x{_letters(rng, 3)}",
    ))  # fmt: skip


def _password_line(rng: random.Random) -> tuple[str, str]:
    secret = _password(rng)
    form = rng.choice((
        "password={}", "passwd: {}", "db_password = '{}'", "MYSQL_PWD={}", "--password {}", "--db-pass={}", "pwd={}",
        'PGPASSWORD="{}"', "passphrase is {}", "the password was {}", "user.password={}", "password {}", "secret: {}",
        "IDENTIFIED BY '{}'", "admin_pass={}",
    ))  # fmt: skip
    return secret, form.format(secret)


def _url_line(rng: random.Random) -> tuple[str, str]:
    secret = _letters(rng, rng.randrange(6, 14))
    scheme = rng.choice(("postgres", "amqp", "https", "redis", "mongodb+srv", "ftp"))
    return secret, f"{scheme}://app:{secret}@db.internal:5432/shop"


def _token(rng: random.Random) -> tuple[str, str]:
    secret = rng.choice((
        "ghp_" + _letters(rng, 36), "glpat-" + _letters(rng, 20), "xoxb-" + _letters(rng, 24),
        "sk_live_" + _letters(rng, 24),
        "sk-" + _letters(rng, 40), "AKIA" + _letters(rng, 16, string.ascii_uppercase + string.digits),
        "AIza" + _letters(rng, 35), "npm_" + _letters(rng, 36), "hf_" + _letters(rng, 34), _letters(rng, 40),
        base64.b64encode(rng.randbytes(30)).decode(), rng.randbytes(20).hex(),
    ))  # fmt: skip
    form = rng.choice((
        "token={}", "Authorization: Bearer {}", "api_key: {}", "x-api-key={}", "using {} now", "access_token={}",
        "aws_secret_access_key = {}", "Cookie: sessionid={}", "key {} rejected", "authorization=token {}",
    ))  # fmt: skip
    return secret, form.format(secret)


def _jwt(rng: random.Random) -> tuple[str, str]:
    def part(size: int) -> str:
        return base64.urlsafe_b64encode(rng.randbytes(size)).decode().rstrip("=")

    secret = f"eyJ{part(18)}.eyJ{part(30)}.{part(32)}"
    return secret, rng.choice(("jwt {}", "Bearer {}", "id_token={}", "got {} from client")).format(secret)


def _basic(rng: random.Random) -> tuple[str, str]:
    secret = base64.b64encode(f"ann:{_password(rng)}".encode()).decode()
    return secret, f"Authorization: Basic {secret}"


def _private_key(rng: random.Random) -> tuple[str, str]:
    secret = base64.b64encode(rng.randbytes(48)).decode()
    return secret, f"-----BEGIN RSA PRIVATE KEY----- {secret} -----END RSA PRIVATE KEY-----"


def _email(rng: random.Random) -> tuple[str, str]:
    domain = rng.choice(("example.org", "mail.test.co.uk", "corp.de"))
    secret = f"{rng.choice(_WORDS).lower()}.{_letters(rng, 5).lower()}@{domain}"
    return secret, rng.choice(("to=<{}>", "from {}", "mail {}", "user={}", "{} bounced")).format(secret)


def _ip(rng: random.Random) -> tuple[str, str]:
    if rng.random() < 0.5:
        secret = ".".join(str(rng.randrange(1, 255)) for _ in range(4))
    else:
        secret = ":".join(f"{rng.randrange(1, 65536):x}" for _ in range(8))
        if rng.random() < 0.4:
            parts = secret.split(":")
            secret = f"{parts[0]}:{parts[1]}::{parts[7]}"
    form = rng.choice(("from {}", "client={}", "peer {} port 22", "[{}]", "rhost={}", "{} - - GET"))
    return secret, form.format(secret)


def _mac(rng: random.Random) -> tuple[str, str]:
    secret = ":".join(f"{rng.randrange(256):02x}" for _ in range(6))
    return secret, rng.choice(("mac {}", "hwaddr={}", "DHCPACK to {}")).format(secret)


def _card(rng: random.Random) -> tuple[str, str]:
    digits = [4, *(rng.randrange(10) for _ in range(14))]
    doubled = [2 * d - 9 if d > 4 else 2 * d for d in digits[::2]]
    digits.append(-(sum(doubled) + sum(digits[1::2])) % 10)
    plain = "".join(map(str, digits))
    separator = rng.choice(("", " ", "-"))
    secret = separator.join(plain[i : i + 4] for i in range(0, 16, 4))
    return secret, rng.choice(("card {}", "pan={}", "charged {} 12.50 EUR", "cc:{}")).format(secret)


def _iban(rng: random.Random) -> tuple[str, str]:
    secret = f"DE{rng.randrange(10, 99)}" + "".join(str(rng.randrange(10)) for _ in range(18))
    return secret, rng.choice(("iban {}", "iban={}", "transfer to {}")).format(secret)


def _phone(rng: random.Random) -> tuple[str, str]:
    secret = f"+49 {rng.randrange(150, 180)} {rng.randrange(1000000, 9999999)}"
    return secret, rng.choice(("call {}", "phone={}", "sms to {} sent")).format(secret)


MAKERS: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "password": _password_line, "url": _url_line, "token": _token, "jwt": _jwt, "basic": _basic, "key": _private_key,
    "email": _email, "ip": _ip, "mac": _mac, "card": _card, "iban": _iban, "phone": _phone,
}  # fmt: skip


def planted(number: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Kind, secret, and the line that it stands in."""
    rng = random.Random(seed)
    kinds = list(MAKERS)
    for turn in range(number):
        kind = kinds[turn % len(kinds)]
        secret, words = MAKERS[kind](rng)
        yield kind, secret, rng.choice(_PLACES).format(words)
