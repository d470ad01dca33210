"""How this machine reaches the package registries, handed to an image's build. Knows no image.

Everything comes from pip's and apt's own configuration and the environment; none of it stays in the image.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# In the build's containers; a mount over /etc/ssl/certs itself would break apt.
_CA_INSIDE = "/run/machine-ca.crt"
_SUITE = "bookworm"
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
_APT_SETTINGS = ("Acquire::http", "Acquire::https", "Acquire::Check", "Acquire::Retries")


def mirror(environ: Mapping[str, str] = os.environ) -> str:
    """Debian's mirror: DEBIAN_MIRROR, else the one apt uses for this very release; empty: no opinion."""
    asked = environ.get("DEBIAN_MIRROR", "")
    if asked or not shutil.which("apt-get"):
        return asked
    listed = _output(["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)"])
    for line in listed.splitlines():
        suite, component, uri = (*line.split(), "", "", "")[:3]
        if (suite, component) == (_SUITE, "main") and uri.startswith("http"):
            return uri
    return ""


def pip_conf(settings: Mapping[str, str], *, with_ca: bool) -> str:
    """A pip.conf for the build from `pip config list`'s settings."""
    lines = [f"{name} = {settings[name]}" for name in _PIP_SETTINGS if name in settings]
    return "\n".join(["[global]", *lines, *([f"cert = {_CA_INSIDE}"] if with_ca else [])]) + "\n"


def pip_settings(listed: str) -> dict[str, str]:
    """The text of `pip config list` as names and values; the environment's come first and win."""
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        settings.setdefault(name.rpartition(".")[2], value.strip("'\""))
    return settings


def apt_conf(dumped: str) -> str:
    """Proxies and the like from the text of `apt-config dump`."""
    return "".join(f"{line}\n" for line in dumped.splitlines() if line.startswith(_APT_SETTINGS))


def ca_bundle(environ: Mapping[str, str]) -> Path | None:
    """The CA bundle that this machine is told to use; None where it is told nothing."""
    named = (environ.get(name, "") for name in _CA_VARIABLES)
    return next((Path(path) for path in named if path and Path(path).is_file()), None)


def volumes(folder: Path, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Write the settings into `folder`; what to mount into a build's containers, as `--volume` wants it."""
    ca = ca_bundle(environ)
    listed = _output([sys.executable, "-m", "pip", "config", "list"])
    files = {
        "/etc/pip.conf": pip_conf(pip_settings(listed), with_ca=ca is not None),
        "/etc/apt/apt.conf.d/99machine": apt_conf(_output(["apt-config", "dump"])),
    }
    found = [] if ca is None else [f"{ca.resolve()}:{_CA_INSIDE}:ro"]
    for number, (inside, text) in enumerate(files.items()):
        path = folder / str(number)
        # An index's URL may have a password in it.
        path.touch(0o600)
        path.write_text(text)
        found.append(f"{path}:{inside}:ro")
    return found


def _output(argv: list[str]) -> str:
    if not shutil.which(argv[0]):
        return ""
    return subprocess.run(argv, text=True, stdout=subprocess.PIPE, check=False).stdout
