"""Incidents without intent: skipped steps, wrong order, crashes, broken disks, no memory, a slow database.

Belongs here: one function a kind, which plays the incident on its chain and says where it happened. Does not
belong here: what people do (``intrusions``), or when incidents come (``incidents``).
"""

from __future__ import annotations

from logad_pipeline.logs.simulator.cast import APP01, DB01, WEB02, Host
from logad_pipeline.logs.simulator.daemons import postgres
from logad_pipeline.logs.simulator.housekeeping import BACKUP_JOBS, backup, backup_name
from logad_pipeline.logs.simulator.requests import Request, Step, checkout, play_request
from logad_pipeline.logs.simulator.timeline import Chain


def unverified_backup(chain: Chain) -> tuple[Host, str] | None:
    """A nightly backup leaves its checksum out: every line of it is as always, one is not there.

    Returns ``None``, and says nothing, where every backup of the day is already taken.
    """
    free = [job for job in BACKUP_JOBS if backup_name(job) not in chain.day.replaced]
    if not free:
        return None
    job = chain.rng.choice(free)
    chain.day.replaced.add(backup_name(job))
    chain.now = chain.day.at(job.hour, job.minute, 1) + chain.rng.randrange(400)
    backup(chain, job, verified=False)
    return job.host, f"The nightly {job.program} on {job.host.name} finishes without verifying its archive."


def order_before_payment(chain: Chain) -> tuple[Host, str]:
    """Orders are stored before their payment is authorised: known lines in an unknown order."""
    rng = chain.rng
    sessions = rng.randrange(2, 4)
    for _ in range(sessions):
        customer = rng.choice(chain.world.customers)
        request = checkout(chain, customer)
        steps = [step for step in request.steps if step.logger != "orders"]
        stored = next(step for step in request.steps if step.logger == "orders")
        steps.insert(1, stored)
        play_request(chain, request._replace(steps=steps), customer)
        chain.wait(15, 150)
    return APP01, f"In {sessions} requests the order is stored before cart, price and payment."


def restart_loop(chain: Chain) -> tuple[Host, str]:
    """A service dies shortly after each start until systemd gives up."""
    rng = chain.rng
    host, unit, title = rng.choice(
        ((APP01, "orders-worker", "Orders Worker"), (WEB02, "php8.2-fpm", "The PHP FastCGI Process Manager"))
    )
    for count in range(1, rng.randrange(4, 6)):
        chain.systemd(host, f"{unit}.service: Main process exited, code=exited, status=1/FAILURE", (0.5, 4))
        chain.systemd(host, f"{unit}.service: Failed with result 'exit-code'.")
        chain.systemd(host, f"{unit}.service: Scheduled restart job, restart counter is at {count}.", (1, 5))
        chain.systemd(host, f"Started {title}.")
    chain.systemd(host, f"{unit}.service: Start request repeated too quickly.", (1, 3))
    chain.systemd(host, f"Failed to start {title}.")
    return host, f"{unit} on {host.name} exits after each start until systemd no longer starts it."


def dying_disk(chain: Chain) -> tuple[Host, str]:
    """A disk answers late, then with errors, until the file system suffers."""
    rng = chain.rng
    sector = rng.randrange(10**6, 10**9)
    chain.daemon(
        DB01,
        "smartd",
        f"Device: /dev/sda [SAT], {rng.randrange(2, 30)} Currently unreadable (pending) sectors",
    )
    for _ in range(2):
        chain.kernel(DB01, f"ata3.00: exception Emask 0x0 SAct 0x{rng.getrandbits(8):x} SErr 0x0 action 0x0", (20, 180))
        chain.kernel(DB01, "ata3.00: failed command: READ FPDMA QUEUED")
        chain.kernel(DB01, "ata3.00: status: { DRDY ERR }")
        chain.kernel(
            DB01,
            f"blk_update_request: I/O error, dev sda, sector {sector} op 0x0:(READ) flags 0x80700",
            (0.5, 6),
        )
        sector += 8
    chain.kernel(
        DB01,
        f"EXT4-fs error (device sda2): ext4_find_entry:1463: inode #{rng.randrange(10**5, 10**7)}: "
        "comm postgres: reading directory lblock 0",
        (1, 20),
    )
    return DB01, "Disk sda of db01 reports unreadable sectors, and the file system meets them."


def out_of_memory(chain: Chain) -> tuple[Host, str]:
    """The kernel kills a process that took all memory."""
    rng = chain.rng
    host, process = rng.choice(((APP01, "gunicorn"), (WEB02, "php-fpm8.2")))
    pid, resident = chain.new_pid(host), rng.randrange(2_000_000, 6_000_000)
    chain.kernel(
        host,
        f"{process} invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0",
    )
    chain.kernel(
        host,
        f"CPU: {rng.randrange(4)} PID: {pid} Comm: {process} Not tainted 6.1.0-18-amd64 #1 Debian 6.1.76-1",
    )
    chain.kernel(host, f"Mem-Info: active_anon:{resident // 5} inactive_anon:{resident // 9} isolated_anon:0")
    chain.kernel(host, f"Free swap  = {rng.randrange(0, 900)}kB")
    chain.kernel(
        host,
        f"Out of memory: Killed process {pid} ({process}) total-vm:{resident + 900_000}kB, "
        f"anon-rss:{resident}kB, file-rss:128kB, shmem-rss:0kB, UID:33 oom_score_adj:0",
        (0.2, 2),
    )
    unit = "orders-api" if host is APP01 else "php8.2-fpm"
    chain.systemd(host, f"{unit}.service: A process of this unit has been killed by the OOM killer.")
    chain.kernel(
        host,
        f"oom_reaper: reaped process {pid} ({process}), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
        (0.1, 1),
    )
    return host, f"{host.name} runs out of memory and the kernel kills {process}."


def slow_database(chain: Chain) -> tuple[Host, str]:
    """A lock holds the database; the application waits, gives up, and answers 504."""
    rng = chain.rng
    holder = chain.world.daemon_pid(DB01, "postgres") + 17
    for number in range(rng.randrange(3, 5)):
        waiting = rng.randrange(1000, 1500)
        postgres(
            chain,
            f"process {holder + number} still waiting for ShareLock on transaction "
            f"{rng.randrange(10**6, 10**7)} after {waiting}.{rng.randrange(1000):03} ms",
            (1, 12),
        )
        customer = rng.choice(chain.world.customers)
        path = f"/api/v1/products/{rng.randrange(1000, 1400)}"
        steps = [
            Step("INFO", "gateway", f"accepted GET {path} for customer {customer.number}"),
            Step("WARNING", "store", f"no connection free, waiting behind {rng.randrange(5, 40)} others"),
            Step("ERROR", "store", "query timed out after 5000 ms"),
            Step("INFO", "gateway", "answered 504 in {elapsed} ms"),
        ]
        play_request(chain, Request(f"GET {path}", 504, steps), customer, (1.3, 1.5))
    postgres(
        chain,
        f"duration: {rng.uniform(19_000, 64_000):.3f} ms  statement: LOCK TABLE stock IN EXCLUSIVE MODE",
        (2, 9),
    )
    return DB01, "A table lock on db01 holds up the application, whose requests end in timeouts."
