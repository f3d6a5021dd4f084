"""What people and jobs leave in the logs: cron runs, logins, sudo, and the noise of the Internet.

Belongs here: the building blocks that both ordinary days and incidents are made of. Does not belong here:
which jobs run when (``housekeeping``), or daemons and applications (``daemons``, ``requests``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from logad_pipeline.logs.simulator.cast import (
    APP01,
    BASTION,
    BUILD_SERVER,
    DB01,
    GUESSED_NAMES,
    INNER_HOSTS,
    SERVICE_UIDS,
    WEB01,
    WEB02,
    Host,
    Person,
    stranger,
)
from logad_pipeline.logs.simulator.timeline import Chain

SUDO_COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "web01": (
        "/usr/bin/systemctl reload apache2",
        "/usr/sbin/apachectl configtest",
        "/usr/bin/tail -n 200 /var/log/apache2/error.log",
        "/usr/bin/journalctl -u apache2 --since today",
    ),
    "web02": (
        "/usr/bin/systemctl status php8.2-fpm",
        "/usr/bin/journalctl -u php8.2-fpm -n 100",
        "/usr/bin/du -sh /srv/media",
    ),
    "db01": (
        "/usr/bin/systemctl status postgresql",
        "/usr/bin/less /var/log/postgresql/postgresql-15-main.log",
        "/usr/bin/df -h",
    ),
    "bastion": ("/usr/bin/fail2ban-client status sshd", "/usr/bin/last -n 30"),
    "app01": (
        "/usr/bin/systemctl restart orders-worker",
        "/usr/bin/journalctl -u orders-api -n 200",
        "/usr/bin/systemctl status orders-api",
    ),
}


@dataclass(frozen=True, slots=True)
class Login:
    """An open ssh session: what is needed to close it again."""

    host: Host
    user: str
    uid: int
    address: str
    port: int
    pid: int
    number: int


def cron_open(chain: Chain, host: Host, user: str, command: str) -> int:
    """A cron job starts; returns the pid that ``cron_close`` needs."""
    pid = chain.new_pid(host)
    uid = SERVICE_UIDS[user]
    chain.say(host, "CRON", f"pam_unix(cron:session): session opened for user {user}(uid={uid}) by (uid=0)", pid)
    chain.say(host, "CRON", f"({user}) CMD ({command})", pid + 1)
    return pid


def cron_close(chain: Chain, host: Host, user: str, pid: int) -> None:
    chain.say(host, "CRON", f"pam_unix(cron:session): session closed for user {user}", pid)


def cron_run(chain: Chain, host: Host, user: str, command: str, seconds: tuple[float, float]) -> None:
    """A cron job that says nothing itself."""
    pid = cron_open(chain, host, user, command)
    chain.wait(*seconds)
    cron_close(chain, host, user, pid)


def login(chain: Chain, host: Host, user: str, uid: int, address: str, key: str | None, refused: int = 0) -> Login:
    """Someone logs in, with a key or a password, after ``refused`` wrong passwords."""
    rng = chain.rng
    pid, port = chain.new_pid(host), rng.randrange(32_800, 61_000)
    chain.say(host, "sshd", f"Connection from {address} port {port} on {host.address} port 22", pid)
    for _ in range(refused):
        text = f"Failed password for {user} from {address} port {port} ssh2"
        chain.say(host, "sshd", text, pid, (2, 6))
    how = f"password for {user}" if key is None else f"publickey for {user}"
    proof = "" if key is None else f": ED25519 {key}"
    chain.say(host, "sshd", f"Accepted {how} from {address} port {port} ssh2{proof}", pid, (0.1, 4))
    opened = f"pam_unix(sshd:session): session opened for user {user}(uid={uid}) by (uid=0)"
    chain.say(host, "sshd", opened, pid)
    number = chain.world.session_number(host, chain.now)
    chain.daemon(host, "systemd-logind", f"New session {number} of user {user}.")
    chain.systemd(host, f"Started Session {number} of User {user}.")
    return Login(host, user, uid, address, port, pid, number)


def logout(chain: Chain, session: Login) -> None:
    """The other end of ``login``."""
    host, user = session.host, session.user
    peer = f"{session.address} port {session.port}"
    chain.say(host, "sshd", f"Received disconnect from {peer}:11: disconnected by user", session.pid + 9)
    chain.say(host, "sshd", f"Disconnected from user {user} {peer}", session.pid + 9)
    chain.say(host, "sshd", f"pam_unix(sshd:session): session closed for user {user}", session.pid)
    chain.systemd(host, f"session-{session.number}.scope: Deactivated successfully.")
    chain.daemon(host, "systemd-logind", f"Session {session.number} logged out. Waiting for processes to exit.")
    chain.daemon(host, "systemd-logind", f"Removed session {session.number}.")


def sudo(
    chain: Chain,
    host: Host,
    user: str,
    command: str,
    *,
    uid: int = 1000,
    folder: str = "",
    after: tuple[float, float] = (4, 60),
    seconds: tuple[float, float] = (0, 2),
) -> None:
    """A command as root, and how sudo records it."""
    chain.wait(*after)
    pid = chain.new_pid(host)
    where = folder or f"/home/{user}"
    text = f"   {user} : TTY=pts/{chain.rng.randrange(3)} ; PWD={where} ; USER=root ; COMMAND={command}"
    chain.say(host, "sudo", text, pid)
    opened = f"pam_unix(sudo:session): session opened for user root(uid=0) by {user}(uid={uid})"
    chain.say(host, "sudo", opened, pid)
    chain.wait(*seconds)
    chain.say(host, "sudo", "pam_unix(sudo:session): session closed for user root", pid)


def _come_in(chain: Chain, person: Person) -> Login:
    address = person.addresses[0 if chain.rng.random() < 0.8 else 1]
    by_password = chain.rng.random() < 0.15
    refused = int(by_password and chain.rng.random() < 0.35)
    return login(chain, BASTION, person.name, person.uid, address, None if by_password else person.key, refused)


def staff_at_bastion(chain: Chain) -> None:
    """Someone of the staff looks in at the bastion."""
    person = chain.rng.choice(chain.world.people)
    session = _come_in(chain, person)
    if chain.rng.random() < 0.3:
        sudo(chain, BASTION, person.name, chain.rng.choice(SUDO_COMMANDS["bastion"]), uid=person.uid)
    chain.wait(20, 1500)
    logout(chain, session)


def staff_hop(chain: Chain) -> None:
    """Someone of the staff goes through the bastion to a host and works there."""
    rng = chain.rng
    person, host = rng.choice(chain.world.people), rng.choice(INNER_HOSTS)
    outer = _come_in(chain, person)
    chain.wait(2, 20)
    inner = login(chain, host, person.name, person.uid, BASTION.address, person.key)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        sudo(chain, host, person.name, rng.choice(SUDO_COMMANDS[host.name]), uid=person.uid)
    chain.wait(30, 1800)
    logout(chain, inner)
    chain.wait(1, 30)
    logout(chain, outer)


def deployment(chain: Chain) -> None:
    """The build server brings a release to a host."""
    rng = chain.rng
    host, unit = rng.choice(((WEB01, "apache2"), (WEB02, "php8.2-fpm"), (APP01, "orders-worker")))
    session = login(chain, host, "deploy", SERVICE_UIDS["deploy"], BUILD_SERVER, chain.world.deploy_key)
    release = f"/srv/shop/releases/{chain.day.date:%Y%m%d}-{rng.randrange(100, 999)}"
    for command in (f"/usr/bin/ln -sfn {release} /srv/shop/current", f"/usr/bin/systemctl reload {unit}"):
        sudo(chain, host, "deploy", command, uid=session.uid, folder="/srv/shop", after=(1, 8))
    chain.systemd(host, f"Reloading {unit}.service...")
    chain.systemd(host, f"Reloaded {unit}.service.", after=(0.2, 2))
    chain.wait(1, 10)
    logout(chain, session)


def database_visit(chain: Chain) -> None:
    """A read-only check of the database by its own account, from the application host."""
    session = login(chain, DB01, "postgres", SERVICE_UIDS["postgres"], APP01.address, chain.world.deploy_key)
    chain.wait(2, 25)
    logout(chain, session)


def stranger_knocks(chain: Chain) -> None:
    """The Internet tries names and passwords at the bastion: noise that belongs to every day."""
    rng = chain.rng
    address, port, pid = stranger(rng), rng.randrange(1030, 65_000), chain.new_pid(BASTION)
    peer = f"{address} port {port}"
    kind = rng.random()
    lines: tuple[str, ...]
    if kind < 0.4:
        name = rng.choice(GUESSED_NAMES)
        lines = (
            f"Invalid user {name} from {peer}",
            f"Failed password for invalid user {name} from {peer} ssh2",
            f"Connection closed by invalid user {name} {peer} [preauth]",
        )
    elif kind < 0.75:
        lines = (
            f"Connection from {peer} on {BASTION.address} port 22",
            f"Failed password for root from {peer} ssh2",
            f"Connection closed by authenticating user root {peer} [preauth]",
        )
    elif kind < 0.9:
        lines = (
            f"Connection from {peer} on {BASTION.address} port 22",
            "error: kex_exchange_identification: Connection closed by remote host",
            f"Connection closed by {peer}",
        )
    else:
        lines = (
            f"Connection from {peer} on {BASTION.address} port 22",
            f"banner exchange: Connection from {peer}: invalid format",
        )
    for line in lines:
        chain.say(BASTION, "sshd", line, pid, (0.05, 2.5))
    if kind < 0.4:
        chain.daemon(BASTION, "fail2ban.filter", f"INFO    [sshd] Found {address}", (0, 0.4))
