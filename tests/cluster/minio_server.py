"""A real MinIO: built once and cached like the test Kubernetes, one process over one folder, http or https.

`python -m tests.cluster.minio_server` makes sure that the program is there. Knows no Backup.
"""

import asyncio
import base64
import secrets
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.cluster import build
from tests.cluster.certificates import Certificates
from tests.cluster.object_store import ObjectStore, serving
from tests.cluster.ports import free_port
from tests.cluster.processes import Processes

_SOURCE = "github.com/minio/minio"

RECIPE = build.Recipe(
    title="MinIO",
    name="minio",
    module=Path(__file__).with_name("minio"),
    source=_SOURCE,
    # The module's own program: go.mod names it as a tool, so there is no source of ours.
    package=_SOURCE,
    stamps=(f"{_SOURCE}/cmd.ReleaseTag",),
    cost="about 3 minutes and 200 MB to download",
)


@asynccontextmanager
async def minio_store(
    owned: Processes, *, name: str = "minio", certificates: Certificates | None = None
) -> AsyncIterator[ObjectStore]:
    """A MinIO on a free port of 127.0.0.1 with random keys; its data is a folder in that of `owned`.

    With `certificates` it speaks https. SSE-S3 and SSE-KMS work, with one key that it holds itself.
    `tests/cluster/setup.sh minio` builds the program. Raises build.BuildFailed, ProcessDied, NotReady.
    """
    folder, settings = owned.own_folder(name), owned.own_folder(f"{name}-settings")
    if certificates:
        # The names that MinIO looks for.
        shutil.copy(certificates.certificate, settings / "public.crt")
        shutil.copy(certificates.key, settings / "private.key")
    access_key, secret_key = secrets.token_hex(10), secrets.token_hex(20)
    env = owned.environment() | {
        "MINIO_ROOT_USER": access_key,
        "MINIO_ROOT_PASSWORD": secret_key,
        "MINIO_KMS_SECRET_KEY": f"tests:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }
    address = f"127.0.0.1:{free_port()}"
    program = await asyncio.to_thread(build.program, RECIPE)
    argv: list[str | Path] = [program, "server", folder, f"--address={address}"]
    argv += ["--quiet", f"--certs-dir={settings}"]
    child = await owned.start(name, argv, env=env)
    scheme, ca = ("https", certificates.ca) if certificates else ("http", None)
    store = ObjectStore(f"{scheme}://{address}", access_key, secret_key, folder, child, ca)
    async with serving(owned, store, "/minio/health/cluster") as ready:
        yield ready


if __name__ == "__main__":
    sys.exit(build.main(RECIPE))
