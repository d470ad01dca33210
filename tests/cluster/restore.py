"""Loads an archive into a database server as its users do: unpacked, then with myloader."""

import asyncio
from pathlib import Path

from tests.cluster.database import Database


class LoadFailed(RuntimeError):
    """The archive could not be unpacked or loaded; the message has the program's output."""


async def load_archive(archive: bytes, database: Database, folder: Path) -> None:
    """Unpack into `folder` (which must not exist) and run myloader. Raises LoadFailed."""
    unpacked = await asyncio.to_thread(_write_archive, archive, folder)
    await _run("tar", "-xzf", str(folder / "archive.tgz"), "-C", str(unpacked), "--no-same-owner")
    (top,) = await asyncio.to_thread(lambda: list(unpacked.iterdir()))
    secret = await asyncio.to_thread(_write_password, folder / "client.cnf", database.password)
    await _run(
        *("myloader", f"--defaults-file={secret}", f"--directory={top}", "--verbose=2"),
        *(f"--host={database.host}", f"--port={database.port}", f"--user={database.user}"),
    )


async def _run(program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    text = output.decode(errors="replace")
    # myloader ends well after some errors too.
    if process.returncode or "CRITICAL" in text:
        raise LoadFailed(f"{program} ended with {process.returncode}:\n{text[-3000:]}")


def _write_archive(archive: bytes, folder: Path) -> Path:
    unpacked = folder / "unpacked"
    unpacked.mkdir(parents=True)
    (folder / "archive.tgz").write_bytes(archive)
    return unpacked


def _write_password(path: Path, password: str) -> Path:
    path.touch(0o600)
    path.write_text(f'[myloader]\npassword="{password}"\n')
    return path
