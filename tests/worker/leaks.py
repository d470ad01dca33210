"""Where secrets would be seen: in the arguments of processes, in archives."""

import contextlib
import tarfile
from io import BytesIO
from pathlib import Path


def all_arguments() -> set[bytes]:
    """The arguments of every process of this machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(path.read_bytes())
    return found


def unpacked(archive: bytes) -> bytes:
    """Names and contents of all files in an archive."""
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        files = [tar.extractfile(member) for member in tar if member.isfile()]
        return b"\n".join(file.read() for file in files if file) + "\n".join(tar.getnames()).encode()
