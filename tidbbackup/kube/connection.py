"""Finds out how to reach the API server: kubeconfig or in-cluster; TLS; the bearer token.

The library's loaders handle contexts, merging, exec plugins and OIDC. The in-cluster token is read here,
because the library reads it again by the wall clock only, never after a 401, and fails on a trailing
newline. Must not send requests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tidbbackup.kube.errors import ConfigError

log = logging.getLogger(__name__)

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_LIFE = 60.0
"""Seconds after which a token file is read again; the kubelet rewrites it long before it expires."""

RELOAD_PAUSE = 10.0
"""Seconds between two readings because of a 401, however many there are: it may run a login plugin."""

_NO_KUBECONFIG = (OSError, ValueError, TypeError, AttributeError, AssertionError)
"""What the library raises too where a file is no kubeconfig."""

RELOAD_LIMIT = 30.0
"""Seconds that a login plugin may take."""


class Credentials:
    """The Authorization header, re-read when it is old and when the server refuses it."""

    def __init__(self, read: Callable[[], Awaitable[str]], header: str, life: float = TOKEN_LIFE) -> None:
        self._read = read
        self._header = header
        self._life = life
        self._read_at: float | None = None
        self._refreshed_at: float | None = None

    async def header(self, now: float) -> str:
        """The header's value, "" if the connection needs none; `now` is monotonic seconds."""
        if self._read_at is None:
            self._read_at = now
        elif now - self._read_at >= self._life:
            await self._refresh(now)
        return self._header

    async def refused(self, header: str, now: float) -> bool:
        """Called after a 401 for `header`; True if there is another one to try."""
        if self._header == header and (
            self._refreshed_at is None or now - self._refreshed_at >= RELOAD_PAUSE
        ):
            await self._refresh(now)
        return self._header != header

    async def _refresh(self, now: float) -> None:
        self._read_at = self._refreshed_at = now
        try:
            async with asyncio.timeout(RELOAD_LIMIT):
                fresh = await self._read()
        except (OSError, ValueError, ConfigError) as error:
            # During a rotation the file can be missing or empty: the old token still works.
            log.warning("cannot read the API token, keeping the old one: %s", error)
            return
        self._header = fresh or self._header


_Seen = tuple[tuple[str, int, int], ...]


@define
class Tls:
    """The TLS context, built again when one of its files has changed: certificates are rotated."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    _context: ssl.SSLContext | None = field(default=None, init=False)
    _seen: _Seen | None = field(default=None, init=False)

    def context(self) -> ssl.SSLContext:
        """The context to use now. Raises ConfigError where the files are no certificates."""
        seen = self._fingerprint()
        if self._context is None:
            self._context, self._seen = self._build(), seen
        elif seen not in (None, self._seen):
            self._seen = seen
            try:
                self._context = self._build()
            except ConfigError as error:
                # This can happen during a rotation; the next change of the file is read again.
                log.warning("keeping the old certificates: %s", error)
        return self._context

    def _fingerprint(self) -> _Seen | None:
        files = [path for path in (self.ca_file, self.cert_file, self.key_file) if path]
        try:
            stats = [(path, os.stat(path)) for path in files]
        except OSError:
            return None
        return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats)

    def _build(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, keyfile=self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cannot read the certificates of the API server: {error}") from error
        # Python 3.13 requires key identifiers that many clusters' certificates lack; Go does not.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@frozen
class Connection:
    """How to reach one API server."""

    url: str
    tls: Tls | None
    credentials: Credentials
    server_name: str | None = None
    """Name to expect in the server's certificate if it is not the URL's host."""
    proxy: str | None = None


async def load_connection(
    kubeconfig: str | None = None,
    context: str | None = None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Connection:
    """Tries `kubeconfig`, then $KUBECONFIG, then the pod's service account, then ~/.kube/config.

    Raises ConfigError with the place that was tried and what was wrong with it.
    """
    _quieten_library()
    chosen = kubeconfig or environ.get("KUBECONFIG")
    if chosen:
        _see_that_it_exists(chosen)
        return await _from_kubeconfig(chosen, context)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(environ, service_account)
    default = Path(environ.get("HOME", "/")) / ".kube" / "config"
    if default.exists():
        return await _from_kubeconfig(str(default), context)
    raise ConfigError(
        "no API server to talk to: no --kubeconfig, no KUBECONFIG, not in a pod "
        f"(KUBERNETES_SERVICE_HOST is not set) and no {default}"
    )


def in_cluster(environ: Mapping[str, str], folder: Path) -> Connection:
    """The API server of the cluster that this pod runs in. Raises ConfigError."""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    token, authority = folder / "token", folder / "ca.crt"
    for path in (token, authority):
        if not path.is_file():
            raise ConfigError(f"{path} is missing: does the pod set automountServiceAccountToken: false?")
    try:
        header = read_token(token)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the service account's token: {error}") from error

    async def read() -> str:
        return read_token(token)

    shown = f"[{host}]" if ":" in host else host
    tls = Tls(str(authority))
    tls.context()
    return Connection(f"https://{shown}:{port}", tls, Credentials(read, header))


def read_token(path: Path) -> str:
    """The header for the token in a file; ValueError on an empty one, which a rotation can show."""
    token = path.read_text(encoding="ascii").strip()
    if not token:
        raise ValueError(f"{path} is empty")
    return f"Bearer {token}"


def _see_that_it_exists(paths: str) -> None:
    # The library says of a missing file that a key is missing in it.
    if not any(Path(each).exists() for each in paths.split(os.pathsep)):
        raise ConfigError(f"kubeconfig {paths}: no such file")


async def _from_kubeconfig(path: str, context: str | None) -> Connection:
    loaded = await _load(path, context)
    tls = Tls(verify=loaded.verify_ssl) if loaded.host.startswith("https") else None

    async def read() -> str:
        fresh = await _load(path, context)
        _name_files(tls, fresh)
        return _header(fresh)

    if tls:
        _name_files(tls, loaded)
        tls.context()
    # Read again on a 401 only: reading can mean running a login plugin.
    credentials = Credentials(read, _header(loaded), life=float("inf"))
    return Connection(loaded.host, tls, credentials, loaded.tls_server_name, loaded.proxy)


def _name_files(tls: Tls | None, loaded: Any) -> None:
    # Certificates inside the kubeconfig are written to files whose names change with their content.
    if tls:
        tls.ca_file, tls.cert_file, tls.key_file = loaded.ssl_ca_cert, loaded.cert_file, loaded.key_file


async def _load(path: str, context: str | None) -> Any:
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import ConfigException, load_kube_config
    from yaml import YAMLError

    loaded = Configuration()
    try:
        await load_kube_config(
            config_file=path, context=context, client_configuration=loaded, persist_config=False
        )
    except (ConfigException, YAMLError, *_NO_KUBECONFIG) as error:
        raise ConfigError(f"kubeconfig {path}: {error or 'not a kubeconfig'}") from error
    return loaded


def _header(loaded: Any) -> str:
    return str(loaded.api_key.get("BearerToken", "")).strip()


def _quieten_library() -> None:
    # At DEBUG the library writes whole answers, and with them Secrets, into the log.
    logging.getLogger("kubernetes_asyncio").setLevel(logging.INFO)
