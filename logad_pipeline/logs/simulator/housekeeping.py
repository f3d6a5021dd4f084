"""The jobs that run by the clock: cron, backups, log rotation, leases, certificates, weekly updates.

Belongs here: what a day holds however quiet it is. Does not belong here: what depends on how busy a day is
(``sessions``, ``daemons``, ``requests``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from logad_pipeline.logs.simulator.cast import (
    APP01,
    BACKUP_STORE,
    DB01,
    GATEWAY,
    HOSTS,
    WEB01,
    WEB02,
    Host,
)
from logad_pipeline.logs.simulator.daemons import checkpoint
from logad_pipeline.logs.simulator.requests import health_check
from logad_pipeline.logs.simulator.sessions import cron_close, cron_open, cron_run
from logad_pipeline.logs.simulator.timeline import UPDATE_DAY, VARIATION_DAY, Chain, Day

HOURLY: Final = "   cd / && run-parts --report /etc/cron.hourly"
LINES_PER_CRON_RUN: Final = 3
HOURLY_SHARE: Final = 0.26
FREQUENT_SHARE: Final = 0.04
CHECKPOINT_SHARE: Final = 0.035
HEALTH_SHARE: Final = 0.035
PERIODS_MINUTES: Final = (5, 10, 15, 30, 60, 120, 240, 360, 720)
TRIM_WEEKDAY: Final = 0
UPDATE_WEEKDAY: Final = 1
CERTIFICATE_HOURS: Final = (5, 17)

FREQUENT_JOBS: Final = (
    (WEB01, "www-data", "[ -x /usr/bin/php ] && /usr/bin/php /srv/shop/current/bin/mail-queue.php"),
    (DB01, "postgres", "/usr/local/bin/replication-lag --warn 30"),
)
PACKAGES: Final = (
    "libssl3",
    "curl",
    "openssh-server",
    "tzdata",
    "libc6",
    "postgresql-15",
    "vim-common",
    "rsync",
)


@dataclass(frozen=True, slots=True)
class BackupJob:
    """One nightly backup: what it saves, and at which minute it starts."""

    host: Host
    program: str
    target: str
    hour: int
    minute: int
    megabytes: int


BACKUP_JOBS: Final = (
    BackupJob(WEB01, "backup-files", "/srv/shop/media", 1, 40, 8_200),
    BackupJob(DB01, "backup-db", "database shop", 2, 10, 1_450),
    BackupJob(APP01, "backup-files", "/srv/orders/spool", 3, 5, 310),
)


def backup_name(job: BackupJob) -> str:
    """The name under which an incident may take a backup over (``Day.replaced``)."""
    return f"{job.program}@{job.host.name}"


def backup(chain: Chain, job: BackupJob, *, verified: bool = True) -> None:
    """A nightly backup in its fixed order; ``verified=False`` leaves the checksum step out."""
    rng, host = chain.rng, job.host
    size = int(job.megabytes * (1 + 0.004 * chain.day.number) * rng.uniform(0.98, 1.02))
    archive = f"{host.name}-{chain.day.date:%Y%m%d}.tar.zst.age"
    cron = cron_open(chain, host, "backup", f"/usr/local/sbin/{job.program} --nightly")
    pid = cron + 2
    began = chain.now
    steps: list[tuple[str, tuple[float, float]]] = [
        (f"starting nightly run for {job.target}", (0.1, 0.6)),
        (f"snapshot taken, {size} MB to save", (2, 15)),
        (f"compressed {size} MB to {int(size * rng.uniform(0.27, 0.31))} MB", (20, 240)),
        (f"encrypted archive {archive}", (3, 20)),
        (f"copied {archive} to {BACKUP_STORE}:/backup/{host.name}", (8, 90)),
        (f"verified checksum sha256 of {archive}", (3, 25)),
        (f"removed {rng.choice((1, 1, 1, 2))} expired archives, 14 kept", (0.3, 2)),
    ]
    for text, after in steps:
        if verified or not text.startswith("verified"):
            chain.say(host, job.program, text, pid, after)
    if rng.random() < 0.12:
        chain.say(host, job.program, f"warning: copy took longer than usual, {rng.randrange(95, 160)} s", pid)
    chain.say(host, job.program, f"finished in {(chain.now - began) // 1000} s", pid)
    cron_close(chain, host, "backup", cron)


def _rotate_logs(chain: Chain, host: Host) -> None:
    chain.systemd(host, "Starting Rotate log files...")
    chain.say(
        host,
        "rsyslogd",
        '[origin software="rsyslogd" swVersion="8.2302.0"] rsyslogd was HUPed',
        after=(0.3, 2),
    )
    chain.systemd(host, "logrotate.service: Deactivated successfully.", (0.1, 1))
    chain.systemd(host, "Finished Rotate log files.")


def _renew_lease(chain: Chain, host: Host) -> None:
    chain.daemon(host, "dhclient", f"DHCPREQUEST for {host.address} on eth0 to {GATEWAY} port 67")
    chain.daemon(host, "dhclient", f"DHCPACK of {host.address} from {GATEWAY}")
    chain.daemon(
        host,
        "dhclient",
        f"bound to {host.address} -- renewal in {chain.rng.randrange(36_000, 43_000)} seconds.",
    )


def _check_certificate(chain: Chain) -> None:
    pid = chain.new_pid(WEB01)
    chain.systemd(WEB01, "Starting Certbot...")
    if chain.day.number == VARIATION_DAY and chain.now > chain.day.at(CERTIFICATE_HOURS[-1]):
        for text in (
            "Renewing an existing certificate for shop.example.com",
            "Waiting for verification...",
            "Cleaning up challenges",
            "Deploying certificate to /etc/apache2/tls/shop.example.com",
            "Congratulations, all renewals succeeded: /etc/letsencrypt/live/shop.example.com/fullchain.pem",
        ):
            chain.say(WEB01, "certbot", text, pid, (0.5, 6))
        chain.systemd(WEB01, "Reloading apache2.service...")
        chain.systemd(WEB01, "Reloaded apache2.service.", (0.2, 1))
    else:
        chain.say(WEB01, "certbot", "Certificate not yet due for renewal", pid, (1, 3))
    chain.systemd(WEB01, "certbot.service: Deactivated successfully.")
    chain.systemd(WEB01, "Finished Certbot.")


def _update_packages(chain: Chain, host: Host) -> None:
    chosen = chain.rng.sample(PACKAGES, 2)
    pid = chain.new_pid(host)
    chain.systemd(host, "Starting Daily apt upgrade and clean activities...")
    chain.say(host, "unattended-upgrade", "Checking if system is running on battery", pid, (1, 4))
    chain.say(host, "unattended-upgrade", f"Packages that will be upgraded: {' '.join(chosen)}", pid, (5, 20))
    for package in chosen:
        version = f"{chain.rng.randrange(2, 9)}.{chain.rng.randrange(20)}-1"
        chain.say(host, "dpkg", f"status installed {package}:amd64 {version}", pid + 3, (4, 15))
    chain.say(host, "unattended-upgrade", "All upgrades installed", pid, (2, 9))
    chain.systemd(host, "apt-daily-upgrade.service: Deactivated successfully.", (0.5, 2))
    chain.systemd(host, "Finished Daily apt upgrade and clean activities.")


def _release(chain: Chain) -> None:
    """The software release that changes what is normal from ``UPDATE_DAY`` on."""
    chain.systemd(APP01, "Stopping Orders API...")
    chain.systemd(APP01, "orders-api.service: Deactivated successfully.", (1, 4))
    chain.systemd(APP01, "Stopped Orders API.")
    chain.systemd(APP01, "Starting Orders API...", (2, 6))
    chain.say(APP01, "orders-api", "migration 0042_loyalty_tiers applied", chain.new_pid(APP01), (1, 5))
    chain.systemd(APP01, "Started Orders API.", (0.5, 2))


def _period(lines: int, share: float, lines_per_round: int) -> int:
    """Minutes between the rounds of a job: the fewest at which it stays within its share of the lines."""
    for minutes in PERIODS_MINUTES:
        if lines_per_round * 1440 / minutes <= share * lines:
            return minutes
    return PERIODS_MINUTES[-1]


def _trim_disks(chain: Chain, host: Host) -> None:
    rng, pid = chain.rng, chain.new_pid(host)
    chain.systemd(host, "Starting Discard unused blocks on filesystems from /etc/fstab...")
    trimmed = f"/: {rng.randrange(2, 19)}.{rng.randrange(1, 9)} GiB trimmed on /dev/vda1"
    chain.say(host, "fstrim", trimmed, pid, (1, 9))
    chain.systemd(host, "Finished Discard unused blocks on filesystems from /etc/fstab.")


Job = tuple[int, int, Callable[[Chain], None]]
"""When it may start (milliseconds since 1970), how many milliseconds later at most, and what it says."""


def _cron_jobs(day: Day) -> Iterator[Job]:
    hourly = max(60, _period(day.lines, HOURLY_SHARE, len(HOSTS) * LINES_PER_CRON_RUN))
    for host in HOSTS:
        run = partial(cron_run, host=host, user="root", command=HOURLY, seconds=(0, 0.6))
        for minute in range(17, 1440, hourly):
            yield day.at(0, minute, 1), 300, run
    frequent = _period(day.lines, FREQUENT_SHARE, len(FREQUENT_JOBS) * LINES_PER_CRON_RUN)
    for host, user, command in FREQUENT_JOBS:
        run = partial(cron_run, host=host, user=user, command=command, seconds=(0.2, 3))
        for minute in range(0, 1440, frequent):
            yield day.at(0, minute, 1), 300, run


def _host_jobs(day: Day) -> Iterator[Job]:
    for number, host in enumerate(HOSTS):
        yield day.at(0, 0, 3 + number), 2_000, partial(_rotate_logs, host=host)
        yield day.at(4 + 3 * number, 20), 3_600_000, partial(_renew_lease, host=host)
        if day.date.weekday() == UPDATE_WEEKDAY:
            yield day.at(6, 10), 2_400_000, partial(_update_packages, host=host)
        if day.date.weekday() == TRIM_WEEKDAY and host in (WEB02, DB01):
            yield day.at(0, 55), 600_000, partial(_trim_disks, host=host)


def _jobs(day: Day) -> Iterator[Job]:
    yield from _cron_jobs(day)
    yield from _host_jobs(day)
    for minute in range(3, 1440, _period(day.lines, CHECKPOINT_SHARE, 2)):
        yield day.at(0, minute, 20), 4_000, checkpoint
    for minute in range(2, 1440, _period(day.lines, HEALTH_SHARE, 1)):
        yield day.at(0, minute, 33), 1_000, health_check
    for hour in CERTIFICATE_HOURS:
        yield day.at(hour, 12), 1_800_000, _check_certificate
    if day.number == UPDATE_DAY:
        yield day.at(9, 30), 600_000, _release
    for job in BACKUP_JOBS:
        if backup_name(job) not in day.replaced:
            yield day.at(job.hour, job.minute, 1), 400, partial(backup, job=job)


def scheduled(day: Day) -> Iterator[Chain]:
    """Everything that the clock starts on a day, without what an incident has taken over."""
    for number, (earliest, spread, play) in enumerate(_jobs(day)):
        rng = day.rng(f"job/{number}")
        chain = Chain(day, rng, earliest + rng.randrange(spread))
        play(chain)
        yield chain
