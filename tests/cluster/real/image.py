"""The image of this checkout's Dockerfile as a docker-archive, built without a registry and kept by content.

`python -m tests.cluster.real.image` builds it, says where it is and puts the list of what is in it beside.
Needs root, buildah and mmdebstrap.
Knows what goes into the build, not what the image is for.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.cluster import build, dumpling
from tests.cluster.build import BuildFailed, Steps, run, say
from tests.cluster.cache import folder as cache_folder
from tests.cluster.real import machine_settings
from tests.cluster.real.archive import Variant, add_variants, content_of
from tests.cluster.real.overlay import storage_driver
from tidbbackup import __version__

ROOT = Path(__file__).parents[3]

IMAGE = "localhost/tidbbackup:e2e"
PAUSE = Variant("localhost/tidbbackup-pause:e2e", {"Entrypoint": ["sleep", "infinity"]})
"""What holds a pod's namespaces."""
AS_ROOT = Variant("localhost/tidbbackup-root:e2e", {"Entrypoint": None, "User": "0:0"})
"""sh and python3 for the contract suite, with the user that most images have."""

SBOM = "opt/tidbbackup/sbom.cdx.json"
"""The list of what is in the image, below its root."""

_BASE = "docker.io/library/debian:bookworm-slim"
_LEFT_OUT = ("man", "locale", "info", "doc")
# Raised when what is made here changes though no file of the image did.
_RECIPE = 2
# What the layers below our own package are made of.
_FOUNDATION = ("Dockerfile", "image")
_PACKAGE = (".dockerignore", "LICENSE", "README.md", "pyproject.toml", "setup.cfg", "tidbbackup")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def find_or_build(environ: Mapping[str, str] = os.environ, root: Path = ROOT) -> Path:
    """The archive with the image and its variants: found, else built. Raises build.BuildFailed, OSError."""
    cache = cache_folder(environ) / "image"
    archive = cache / f"tidbbackup-{content_key(_files(root, (*_FOUNDATION, *_PACKAGE)), root)}.tar"
    if archive.exists():
        return archive
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("a") as lock:
        # Two checkouts never build at once: they share the layers.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _build(cache, archive, root, environ)
    return archive


def architecture() -> str:
    """That of this machine and of the image, as registries call it."""
    return _ARCHITECTURES[platform.machine()]


def content_key(files: Iterable[Path], root: Path) -> str:
    """A word that changes with everything the image is made of."""
    digest = hashlib.sha256(f"{_RECIPE} {platform.machine()}".encode())
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _files(root: Path, names: Iterable[str]) -> list[Path]:
    found: list[Path] = []
    for name in names:
        path = root / name
        found += [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return [path for path in found if "__pycache__" not in path.parts]


def _build(cache: Path, archive: Path, root: Path, environ: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix="tidbbackup-image-") as name:
        temporary = Path(name)
        env = {**environ, "TMPDIR": name}
        tool = _tool(_storage(cache, root), temporary)
        _ensure_base(tool, temporary, env)
        say("building the image from the Dockerfile")
        machine = [
            word for each in machine_settings.volumes(temporary, environ) for word in ("--volume", each)
        ]
        arguments = (f"BASE={_BASE}", f"TARGETARCH={architecture()}")
        # In the place of the stage that compiles it: the same sources, by the same command.
        compiled = temporary / "dumpling" / "out" / dumpling.RECIPE.name
        compiled.parent.mkdir(parents=True)
        shutil.copy(build.program(dumpling.RECIPE), compiled)
        _run(
            [
                *(
                    *tool,
                    "bud",
                    "--layers",
                    "--pull-never",
                    "--isolation",
                    "chroot",
                    "--network",
                    "host",
                    *machine,
                ),
                *(word for each in arguments for word in ("--build-arg", each)),
                *("--build-context", f"dumpling={temporary / 'dumpling'}"),
                *("--ignorefile", str(root / ".dockerignore"), "--file", str(root / "Dockerfile")),
                # No commit and no time, as `make image` has them: each commit would be another image.
                *("--label", f"org.opencontainers.image.version={__version__}"),
                *("--tag", IMAGE, str(root)),
            ],
            env,
        )
        _run([*tool, "push", IMAGE, f"docker-archive:{temporary / 'image.tar'}:{IMAGE}"], env)
        beside = archive.with_name(f".building-{archive.name}")
        add_variants(temporary / "image.tar", beside, (PAUSE, AS_ROOT))
        # The newest few stay: another checkout may be about to read its own.
        for old in sorted(cache.glob("tidbbackup-*.tar"), key=lambda path: path.stat().st_mtime)[:-2]:
            old.unlink()
            old.with_suffix(".cdx.json").unlink(missing_ok=True)
        # Dying before this leaves nothing under the final name; the next run finds the layers and is quick.
        beside.rename(archive)


def _storage(cache: Path, root: Path) -> Path:
    """Where the layers are kept: anew when what is below our package changes, or they would pile up."""
    storage = cache / f"storage-{content_key(_files(root, _FOUNDATION), root)}"
    for old in cache.glob("storage-*"):
        if old != storage:
            shutil.rmtree(old)
    return storage


def _tool(storage: Path, temporary: Path) -> list[str]:
    """buildah with a storage of our own, in a mount namespace of its own: it leaves mounts behind."""
    folders = ("--root", str(storage), "--runroot", str(temporary / "run"))
    driver = storage_driver(storage.parent)
    return ["unshare", "--mount", "buildah", *folders, "--storage-driver", driver]


def _ensure_base(tool: Sequence[str], temporary: Path, env: Mapping[str, str]) -> None:
    """Make Debian from its packages and call it what the Dockerfile starts from."""
    with suppress(BuildFailed):
        _run([*tool, "inspect", "--type", "image", _BASE], env)
        return
    say("making the image's base from Debian's packages")
    tar = temporary / "base.tar"
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in _LEFT_OUT]
    excluded.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
    mirror = machine_settings.mirror(env)
    sources = [mirror] if mirror else []
    _run(["mmdebstrap", "--variant=minbase", *excluded, "bookworm", str(tar), *sources], env)
    # One namespace for all: a container is mounted from one command to the next.
    steps = (
        'c=$(buildah "$@" from scratch) && buildah "$@" add --quiet "$c" "$0" /'
        f' && buildah "$@" config --cmd bash "$c" && buildah "$@" commit --quiet --rm "$c" {_BASE}'
    )
    _run(["unshare", "--mount", "sh", "-c", steps, str(tar), *tool[3:]], env)


def _run(argv: Sequence[str], env: Mapping[str, str]) -> None:
    what = next(word for word in argv if word in ("buildah", "mmdebstrap", "sh"))
    run(argv, ROOT, env, Steps(what, done=lambda line: "STEP" in line))


def main() -> int:
    """Build the image; 1 and the reason when that cannot be done."""
    try:
        archive = find_or_build()
        archive.with_suffix(".cdx.json").write_bytes(content_of(archive, SBOM))
    except (BuildFailed, OSError, subprocess.SubprocessError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    megabytes = archive.stat().st_size // 1_000_000
    print(f"{IMAGE} is in {archive} ({megabytes} MB); for example: docker load --input {archive}")
    print(f"what is in it: {archive.with_suffix('.cdx.json')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
