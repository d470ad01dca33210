"""Free TCP ports on loopback for the servers of the tests. It knows no server."""

import random
import socket

# Below the kernel's usual range for outgoing connections (32768 and up): none of
# those can take a port between our asking for it and the server's listening.
_LOWEST, _HIGHEST = 20000, 32000

_handed_out: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on and that this process was not given before.

    Raises OSError when a thousand tries found none.
    """
    for _ in range(1000):
        port = random.randint(_LOWEST, _HIGHEST)
        if port not in _handed_out and _is_free(host, port):
            _handed_out.add(port)
            return port
    raise OSError(f"no free port on {host} between {_LOWEST} and {_HIGHEST}")


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
