"""A server that speaks MySQL's protocol and tries to get the client's password. Knows no Backup.

It has no TLS. Whatever is asked once somebody is in, it refuses, but for SET.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.cluster.relay import listening

_SALT = b"0123456789abcdefghij"
_OK = b"\0\0\0\2\0\0\0"
_LONG_PASSWORD, _PROTOCOL_41, _SECURE, _PLUGIN_AUTH = 0x1, 0x200, 0x8000, 0x80000

TRICKS = ("mysql_clear_password", "dialog", "mysql_old_password", "sha256_password", "caching_sha2_password")
"""Plugins that it asks for. By the last two it gets the password encrypted with a key of its own."""


@define(eq=False)
class Hostile:
    """One such server."""

    trick: str
    by_greeting: bool = False
    """The plugin is named in the greeting already, not asked for later."""
    port: int = 0
    heard: bytes = b""
    """All that clients have sent."""
    decrypted: bytes = b""
    """What they have encrypted with its key."""
    answer: bytes = _OK
    """To the login."""
    _key: rsa.RSAPrivateKey = field(factory=lambda: rsa.generate_private_key(65537, 2048))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0

        async def say(payload: bytes, at: int | None = None) -> None:
            writer.write(len(payload).to_bytes(3, "little") + bytes([number if at is None else at]) + payload)
            await writer.drain()

        async def hear() -> bytes:
            nonlocal number
            head = await reader.readexactly(4)
            payload = await reader.readexactly(int.from_bytes(head[:3], "little"))
            self.heard += payload
            number = (head[3] + 1) % 256
            return payload

        await say(self._greeting())
        reply = await hear()
        if not self.by_greeting:
            first = b"\4Password: " if self.trick == "dialog" else _SALT + b"\0"
            await say(b"\xfe" + self.trick.encode() + b"\0" + first)
            reply = await hear()
        if self.trick == "caching_sha2_password":
            await say(b"\1\4")
            reply = await hear()
        if self.trick in ("caching_sha2_password", "sha256_password") and len(reply) < 200:
            public = self._key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            await say(b"\1" + public)
            self._decrypt(await hear())
        await say(self.answer)
        while statement := await hear():
            await say(_OK if statement[1:4] == b"SET" else b"\xff\x28\x04#42000no", 1)

    def _greeting(self) -> bytes:
        flags = _LONG_PASSWORD | _PROTOCOL_41 | _SECURE | _PLUGIN_AUTH
        plugin = self.trick if self.by_greeting else "mysql_native_password"
        lower, upper = flags.to_bytes(4, "little")[:2], flags.to_bytes(4, "little")[2:]
        head = b"\x0a8.0.1\0" + b"\1\0\0\0" + _SALT[:8] + b"\0" + lower + b"\x2d\2\0" + upper
        return head + b"\x15" + bytes(10) + _SALT[8:] + b"\0" + plugin.encode() + b"\0"

    def _decrypt(self, sent: bytes) -> None:
        how = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
        clear = self._key.decrypt(sent, how)
        self.decrypted += bytes(byte ^ _SALT[i % len(_SALT)] for i, byte in enumerate(clear)).rstrip(b"\0")


@asynccontextmanager
async def hostile_server(trick: str, *, by_greeting: bool = False) -> AsyncIterator[Hostile]:
    """It listens for as long as the block lasts."""
    server = Hostile(trick, by_greeting)
    async with listening(server._serve) as listener:
        server.port = listener.port
        yield server
