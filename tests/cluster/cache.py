"""Where built programs are kept between checkouts. It knows none of them."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path


def home(environ: Mapping[str, str]) -> Path:
    """The user's home folder, from the user database where HOME is unset or empty."""
    return Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where things are kept between checkouts: `$XDG_CACHE_HOME/tidbbackup`, else `~/.cache/tidbbackup`."""
    base = environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    return (Path(base) if os.path.isabs(base) else home(environ) / ".cache") / "tidbbackup"
