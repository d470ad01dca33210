"""The termination message of a container, by the kubelet's rules. Reads two local files, knows no pod."""

from pathlib import Path

MESSAGE_BYTES = 4096
LOG_BYTES = 2048
LOG_LINES = 80


def termination_message(path: Path, log: Path, *, policy: str, exit_code: int) -> str:
    """The last 4,096 bytes of what the container wrote to its termination log.

    With FallbackToLogsOnError a container that failed and wrote nothing there gets the end of its output.
    """
    message = _last_bytes(path, MESSAGE_BYTES)
    if not message and policy == "FallbackToLogsOnError" and exit_code != 0:
        message = last_lines(_last_bytes(log, LOG_BYTES), LOG_LINES)
    return message.decode("utf-8", "replace")


def last_lines(data: bytes, count: int) -> bytes:
    """The last `count` lines of some output, a last line without its end included."""
    return b"".join(data.splitlines(keepends=True)[-count:])


def _last_bytes(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - count))
            return file.read(count)
    except OSError:
        # Removed by the container, or a directory now: that is no message.
        return b""
