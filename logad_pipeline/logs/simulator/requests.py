"""What customers leave: requests to the application, step by step, and visits in the access log.

Belongs here: the shop's two logs. Does not belong here: syslog (``sessions``, ``daemons``, ``housekeeping``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from logad_pipeline.logs.simulator.cast import BASTION, Customer, stranger
from logad_pipeline.logs.simulator.timeline import Chain

SITE: Final = "https://shop.example.com"
CATEGORIES: Final = ("lamps", "chairs", "tables", "shelves", "textiles")
ASSETS: Final = ("/assets/site.css", "/assets/site.js", "/assets/logo.svg", "/assets/fonts/inter.woff2")
PROBED_BY_ANYONE: Final = (
    "/wp-login.php",
    "/favicon.ico",
    "/apple-touch-icon.png",
    "/.well-known/security.txt",
    "/ads.txt",
)
CRAWLER: Final = "Mozilla/5.0 (compatible; ExampleBot/2.1; +https://bot.example.net/about)"
WAREHOUSE: Final = "192.0.2.60"
QUICK: Final = (0.003, 0.08)
"""Seconds between two steps of a request."""
CHECKER: Final = "check_http/v2.3.3 (monitoring-plugins 2.3.3)"


class Step(NamedTuple):
    """One line of a request session; ``{elapsed}`` stands for milliseconds since the first."""

    level: str
    logger: str
    message: str


class Request(NamedTuple):
    """A request: what the access log shows and what the application says, in order."""

    method_and_path: str
    status: int
    steps: list[Step]


def _info(logger: str, message: str) -> Step:
    return Step("INFO", logger, message)


def _cached(chain: Chain, what: str) -> list[Step]:
    rng = chain.rng
    if rng.random() < 0.7:
        return [_info("cache", f"hit {what}")]
    return [
        _info("cache", f"miss {what}"),
        _info("store", f"loaded {what}, {rng.randrange(1, 30)} rows in {rng.randrange(4, 45)} ms"),
    ]


def checkout(chain: Chain, customer: Customer) -> Request:
    """An order: cart, price, payment, and only then the order itself."""
    rng = chain.rng
    cents, items, order = rng.randrange(900, 45_000), rng.randrange(1, 6), 100_000 + rng.randrange(900_000)
    amount = f"{cents / 100:.2f} EUR"
    steps = [_info("gateway", f"accepted POST /api/v1/orders for customer {customer.number}")]
    steps += _cached(chain, f"cart:{customer.number}")
    steps.append(_info("pricing", f"total {amount} for {items} items"))
    branch = rng.random()
    if chain.now >= chain.day.released and branch < 0.45:
        tier = rng.choice(("bronze", "silver", "gold"))
        steps.append(_info("pricing", f"loyalty tier {tier} applied, discount {rng.choice((2, 3, 5))} percent"))
    elif branch > 0.93:
        steps.append(Step("WARNING", "payments", "provider did not answer within 800 ms, retry 1 of 3"))
    steps.append(_info("payments", f"authorised {amount}, reference pay_{rng.getrandbits(40):010x}"))
    steps.append(_info("orders", f"stored order {order} with {items} items"))
    steps.append(_info("gateway", "answered 201 in {elapsed} ms"))
    return Request("POST /api/v1/orders", 201, steps)


def product_page(chain: Chain, customer: Customer) -> Request:
    """A product with its stock and what goes with it."""
    rng = chain.rng
    product = rng.randrange(1000, 1400)
    path = f"/api/v1/products/{product}"
    steps = [_info("gateway", f"accepted GET {path} for customer {customer.number}")]
    steps += _cached(chain, f"product:{product}")
    steps.append(
        _info(
            "stock",
            f"product {product} has {rng.randrange(0, 90)} pieces in {rng.randrange(1, 4)} warehouses",
        )
    )
    if rng.random() < 0.5:
        steps.append(_info("catalog", f"chose {rng.randrange(3, 9)} related products"))
    steps.append(_info("gateway", "answered 200 in {elapsed} ms"))
    return Request(f"GET {path}", 200, steps)


def search(chain: Chain, customer: Customer) -> Request:
    """A search; seldom the index is away and the database answers instead."""
    rng = chain.rng
    steps = [
        _info("gateway", f"accepted GET /api/v1/search for customer {customer.number}"),
        _info("search", f"parsed query, {rng.randrange(1, 5)} terms"),
    ]
    if rng.random() < 0.03:
        steps.append(Step("ERROR", "search", "index answered 503, falling back to database"))
        steps.append(_info("store", f"found {rng.randrange(1, 60)} rows in {rng.randrange(90, 400)} ms"))
    else:
        steps.append(_info("search", f"index answered {rng.randrange(0, 140)} hits in {rng.randrange(3, 40)} ms"))
    steps.append(_info("gateway", "answered 200 in {elapsed} ms"))
    return Request(f"GET /api/v1/search?q={rng.choice(CATEGORIES)}&page={rng.randrange(1, 4)}", 200, steps)


def sign_in(chain: Chain, customer: Customer) -> Request:
    """A customer signs in, or mistypes."""
    rng = chain.rng
    steps = [
        _info("gateway", f"accepted POST /api/v1/sessions for customer {customer.number}"),
        _info("store", f"loaded account {customer.number} in {rng.randrange(2, 20)} ms"),
    ]
    if rng.random() < 0.12:
        steps.append(Step("WARNING", "auth", f"password refused for customer {customer.number}"))
        steps.append(_info("gateway", "answered 401 in {elapsed} ms"))
        return Request("POST /api/v1/sessions", 401, steps)
    steps.append(_info("auth", f"password accepted for customer {customer.number}"))
    steps.append(_info("auth", f"session {rng.getrandbits(64):016x} opened for 3600 s"))
    steps.append(_info("gateway", "answered 200 in {elapsed} ms"))
    return Request("POST /api/v1/sessions", 200, steps)


def stock_import(chain: Chain, customer: Customer) -> Request:
    """The warehouse sends its stock."""
    rng = chain.rng
    rows = rng.randrange(80, 400)
    steps = [
        _info("gateway", "accepted POST /api/v1/stock for client warehouse"),
        _info("auth", "token accepted for client warehouse"),
        _info("stock", f"received {rows} rows"),
        _info("stock", f"updated {rng.randrange(1, rows)} products in {rng.randrange(40, 900)} ms"),
        _info("cache", f"dropped {rng.randrange(1, 40)} keys with prefix product"),
        _info("gateway", "answered 202 in {elapsed} ms"),
    ]
    return Request("POST /api/v1/stock", 202, steps)


_MIX: Final[tuple[tuple[Callable[[Chain, Customer], Request], float], ...]] = (
    (product_page, 0.38),
    (search, 0.22),
    (checkout, 0.2),
    (sign_in, 0.14),
    (stock_import, 0.06),
)


def play_request(chain: Chain, request: Request, customer: Customer, pace: tuple[float, float] = QUICK) -> None:
    """Write a request to both logs: the access line first, as it bears the time of arrival."""
    size = chain.rng.randrange(180, 9000)
    if request.method_and_path.endswith("/stock"):
        chain.access(WAREHOUSE, request.method_and_path, request.status, size, "warehouse-client/1.9")
    else:
        path, status = request.method_and_path, request.status
        chain.access(customer.address, path, status, size, customer.agent, f"{SITE}/")
    _play_steps(chain, request.steps, pace)


def _play_steps(chain: Chain, steps: Sequence[Step], pace: tuple[float, float]) -> None:
    identity, began = f"{chain.rng.getrandbits(32):08x}", chain.now
    for step in steps:
        if step.logger == "payments":
            chain.wait(0.1, 0.9)
        chain.wait(*pace)
        message = step.message.format(elapsed=chain.now - began)
        chain.service(identity, step.level, step.logger, message)


def api_request(chain: Chain) -> None:
    """Requests of customers, of any kind: often several at once, whose lines interleave."""
    makers, weights = zip(*_MIX, strict=True)
    began = chain.now
    for _ in range(chain.rng.choice((1, 1, 2, 3))):
        chain.now = began + chain.rng.randrange(180)
        customer = chain.rng.choice(chain.world.customers)
        play_request(chain, chain.rng.choices(makers, weights)[0](chain, customer), customer)


def visit(chain: Chain) -> None:
    """A customer looks at a few pages, or a crawler or a curious stranger comes by."""
    rng = chain.rng
    kind = rng.random()
    if kind < 0.1:
        address = stranger(rng)
        chain.access(address, "GET /robots.txt", 200, 214, CRAWLER)
        for _ in range(rng.randrange(1, 4)):
            path = f"/{rng.choice(CATEGORIES)}/{rng.randrange(1000, 1400)}"
            chain.access(address, f"GET {path}", 200, rng.randrange(9000, 30_000), CRAWLER, after=(1, 8))
        return
    if kind < 0.2:
        chain.access(
            stranger(rng),
            f"GET {rng.choice(PROBED_BY_ANYONE)}",
            404,
            196,
            rng.choice(chain.world.customers).agent,
        )
        return
    customer, referrer = rng.choice(chain.world.customers), "-"
    for number in range(rng.randrange(1, 4)):
        page = "/" if number == 0 else f"/{rng.choice(CATEGORIES)}"
        chain.access(
            customer.address,
            f"GET {page}",
            200,
            rng.randrange(9000, 30_000),
            customer.agent,
            referrer,
            (2, 40),
        )
        referrer = SITE + page
        for asset in ASSETS[: rng.randrange(0, 4) if number else 3]:
            status = 200 if rng.random() < 0.6 else 304
            chain.access(customer.address, f"GET {asset}", status, 4000 + 37 * len(asset), customer.agent, referrer)


def health_check(chain: Chain) -> None:
    """The monitoring asks whether the shop is there."""
    chain.access(BASTION.address, "GET /health", 200, 17, CHECKER)
