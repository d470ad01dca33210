"""Free ports."""

import socket

from tests.cluster.ports import free_port


def test_every_port_is_another_one_and_can_be_listened_on() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == len(ports)
    with socket.socket() as server:
        server.bind(("127.0.0.1", ports[0]))
