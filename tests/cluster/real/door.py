"""A door between two networks: `python door.py LISTEN_NETWORK HOST PORT TARGET_NETWORK HOST PORT`.

Listens in one network namespace and connects in the other, both given as files such as /proc/1/ns/net, and
passes bytes. So neither network needs a wire to the other. Standard library only: it is started by path.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import sys

_CHUNK_BYTES = 1 << 16


def enter(network: int) -> None:
    """Move this thread into an open network namespace; sockets stay where they were made. Raises OSError."""
    # os.setns comes with Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(network, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        # One side has said all it has to say; the other may still answer.
        writer.write_eof()


async def _serve(listener: socket.socket, host: str, port: int) -> None:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target_reader, target_writer = await asyncio.open_connection(host, port)
        except OSError:
            # Nobody listens there yet: the caller sees its connection closed.
            writer.close()
            return
        await asyncio.gather(_pass(reader, target_writer), _pass(target_reader, writer))
        target_writer.close()
        writer.close()

    server = await asyncio.start_server(accepted, sock=listener)
    await server.serve_forever()


def main(argv: list[str]) -> None:
    """Listen in one network, connect in the other."""
    outside, listen_host, listen_port, inside, target_host, target_port = argv
    # Both opened first: /proc/self/ns/net changes its meaning with the first step.
    networks = [os.open(path, os.O_RDONLY) for path in (outside, inside)]
    enter(networks[0])
    listener = socket.create_server((listen_host, int(listen_port)))
    enter(networks[1])
    print("open", flush=True)
    asyncio.run(_serve(listener, target_host, int(target_port)))


if __name__ == "__main__":
    main(sys.argv[1:])
