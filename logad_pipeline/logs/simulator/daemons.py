"""What machines say of themselves in the course of a day: database, clock, kernel, units, workers.

Belongs here: lines without a person behind them whose number follows how busy a day is. Does not belong here:
jobs that the clock starts (``housekeeping``), or requests of customers (``requests``).
"""

from __future__ import annotations

from typing import Final

from logad_pipeline.logs.simulator.cast import (
    APP01,
    BASTION,
    DB01,
    HOSTS,
    TIME_SERVERS,
    WEB01,
    WEB02,
    stranger,
)
from logad_pipeline.logs.simulator.timeline import Chain

TABLES: Final = ("orders", "order_items", "carts", "products", "stock", "customers")
SLOW_STATEMENTS: Final = (
    "SELECT count(*) FROM orders WHERE created_at > now() - interval '1 day'",
    "SELECT * FROM products ORDER BY updated_at DESC LIMIT 200",
    "UPDATE stock SET reserved = 0 WHERE reserved_until < now()",
)
SCANNED_PORTS: Final = (23, 80, 443, 445, 1433, 3306, 3389, 5432, 5900, 6379, 8080, 8443, 9200)
UNITS: Final = (
    (WEB01, "Clean php session files", "phpsessionclean"),
    (WEB02, "Clean php session files", "phpsessionclean"),
    (APP01, "system activity accounting tool", "sysstat-collect"),
    (DB01, "system activity accounting tool", "sysstat-collect"),
    (BASTION, "Cleanup of Temporary Directories", "systemd-tmpfiles-clean"),
)


def postgres(chain: Chain, message: str, after: tuple[float, float] = (0, 0.15)) -> None:
    """A line of a database backend."""
    pid = chain.world.daemon_pid(DB01, "postgres") + chain.rng.randrange(40)
    chain.say(DB01, "postgres", f"[{chain.rng.randrange(2, 9)}-1] LOG:  {message}", pid, after)


def checkpoint(chain: Chain) -> None:
    """The database writes its dirty pages; the clock starts it."""
    rng, pid = chain.rng, chain.world.daemon_pid(DB01, "checkpointer")
    written = rng.randrange(40, 900)
    chain.say(DB01, "postgres", "[3-1] LOG:  checkpoint starting: time", pid)
    chain.say(
        DB01,
        "postgres",
        f"[4-1] LOG:  checkpoint complete: wrote {written} buffers ({written / 163.84:.1f}%); "
        f"0 WAL file(s) added, 0 removed, {rng.randrange(3)} recycled; "
        f"write={rng.uniform(4, 90):.3f} s, sync={rng.uniform(0, 0.1):.3f} s",
        pid,
        (4, 90),
    )


def database(chain: Chain) -> None:
    """Vacuums, slow queries, and now and then a lost client."""
    rng = chain.rng
    kind = rng.random()
    if kind < 0.52:
        postgres(
            chain,
            f'automatic vacuum of table "shop.public.{rng.choice(TABLES)}": index scans: {rng.randrange(2)}',
        )
    elif kind < 0.9:
        postgres(chain, f"duration: {rng.uniform(1000, 2600):.3f} ms  statement: {rng.choice(SLOW_STATEMENTS)}")
    else:
        postgres(chain, "could not receive data from client: Connection reset by peer")


def firewall(chain: Chain) -> None:
    """A packet from the Internet is dropped, at the bastion or the web host."""
    rng = chain.rng
    host, source = rng.choice((BASTION, BASTION, WEB01)), stranger(rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        chain.kernel(
            host,
            f"[UFW BLOCK] IN=eth0 OUT= MAC={host.mac}:52:54:00:12:35:02:08:00 SRC={source} "
            f"DST={host.address} LEN={rng.choice((40, 44, 60))} TOS=0x00 PREC=0x00 "
            f"TTL={rng.randrange(43, 250)} ID={rng.randrange(65536)} PROTO=TCP "
            f"SPT={rng.randrange(1024, 65535)} "
            f"DPT={rng.choice(SCANNED_PORTS)} WINDOW=1024 RES=0x00 SYN URGP=0",
            (0, 3),
        )


def clock(chain: Chain) -> None:
    """chronyd follows its servers."""
    rng, host = chain.rng, chain.rng.choice(HOSTS)
    server = rng.choice(TIME_SERVERS)
    if rng.random() < 0.7:
        chain.daemon(host, "chronyd", f"Selected source {server}")
    else:
        chain.daemon(host, "chronyd", f"Source {server} went offline, {rng.randrange(1, 4)} polls missed")
        chain.daemon(host, "chronyd", f"Selected source {rng.choice(TIME_SERVERS)}", (1, 20))


def timer_unit(chain: Chain) -> None:
    """A systemd timer runs its unit."""
    host, title, unit = chain.rng.choice(UNITS)
    chain.systemd(host, f"Starting {title}...")
    chain.systemd(host, f"{unit}.service: Deactivated successfully.", (0.05, 1.2))
    chain.systemd(host, f"Finished {title}.")


def worker_turnover(chain: Chain) -> None:
    """A worker of the application retires and another takes its place."""
    rng = chain.rng
    master, old = chain.world.daemon_pid(APP01, "gunicorn"), chain.new_pid(APP01) - rng.randrange(400, 900)
    chain.say(APP01, "gunicorn", f"[{old}] [INFO] Autorestarting worker after current request.", old)
    chain.say(APP01, "gunicorn", f"[{old}] [INFO] Worker exiting (pid: {old})", old, (0.1, 1))
    new = chain.new_pid(APP01)
    chain.say(APP01, "gunicorn", f"[{new}] [INFO] Booting worker with pid: {new}", new, (0.2, 1))
    if rng.random() < 0.08:
        chain.say(
            APP01,
            "gunicorn",
            f"[{master}] [WARNING] Worker {new} took {rng.randrange(3, 9)} s to boot",
            master,
            (3, 9),
        )


def hardware(chain: Chain) -> None:
    """A disk grows warmer, a network card loses its link for a moment."""
    rng = chain.rng
    if rng.random() < 0.8:
        host, before = rng.choice((DB01, WEB02)), rng.randrange(108, 122)
        chain.daemon(
            host,
            "smartd",
            "Device: /dev/sda [SAT], SMART Usage Attribute: 194 Temperature_Celsius changed "
            f"from {before} to {before + rng.choice((-1, 1))}",
        )
    else:
        chain.kernel(WEB02, "e1000e 0000:00:19.0 eth0: NIC Link is Down")
        chain.kernel(
            WEB02,
            "e1000e 0000:00:19.0 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: None",
            (2, 5),
        )


def web_server(chain: Chain) -> None:
    """Notices of the web hosts' php and mail."""
    rng = chain.rng
    if rng.random() < 0.3:
        chain.daemon(
            WEB02,
            "php-fpm8.2",
            f"WARNING: [pool www] server reached pm.max_children setting ({rng.choice((20, 30))}), consider raising it",
        )
        return
    queue = f"{rng.getrandbits(40):010X}"
    pid = chain.new_pid(WEB01)
    chain.say(WEB01, "postfix/pickup", f"{queue}: uid=33 from=<www-data>", pid)
    chain.say(
        WEB01,
        "postfix/cleanup",
        f"{queue}: message-id=<{rng.getrandbits(48):x}@web01.shop.example.com>",
        pid + 1,
    )
    chain.say(
        WEB01,
        "postfix/smtp",
        f"{queue}: to=<customer{rng.randrange(1000, 9999)}@example.org>, relay=mail.example.net"
        f"[192.0.2.25]:25, delay={rng.uniform(0.3, 4):.1f}, status=sent (250 OK)",
        pid + 2,
        (0.3, 4),
    )
    chain.say(WEB01, "postfix/qmgr", f"{queue}: removed", pid + 3)
