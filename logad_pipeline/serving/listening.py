"""The address that a service answers on: had, or refused in plain words, before anything is loaded.

Belongs here: the socket. Who answers on it is in `server`.
"""

from __future__ import annotations

import errno
import socket
from typing import Final

_BACKLOG: Final = 2048
_OF_THE_PORT: Final = (errno.EADDRINUSE, errno.EACCES)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; of a name that has several addresses the first is taken, IPv4 before IPv6.

    Raises:
        ValueError: if the name leads nowhere, the address is not this machine's, or the port is not to be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = min(found, key=lambda one: one[0])
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except (OSError, UnicodeError) as error:
        # A name may be none that can be asked for: UnicodeError.
        why = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        other = "--port" if getattr(error, "errno", None) in _OF_THE_PORT else "--host"
        raise ValueError(f"nothing can listen on {at(host, port)}: {why}; give another {other}") from error


def at(host: str, port: int) -> str:
    """Host and port as an address has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
