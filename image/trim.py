"""Leaves out of an environment what the image never uses, and compiles the rest: `python trim.py PREFIX`.

Run once in the image's build, by Debian's python3; standard library only. Knows no more of the packages
than which of their files are data for something else.
"""

import compileall
import py_compile
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

# Of 400 services' descriptions the worker needs S3's, and STS's for a role on its service account.
BOTOCORE_KEPT = frozenset(
    {"s3", "sts", "endpoints.json", "partitions.json", "_retry.json", "sdk-default-configuration.json"}
)

# Loaded only for a kubeconfig, of which a cluster has none: sources do, bytecode would be 24 MB more.
NOT_COMPILED = ("kubernetes_asyncio/client",)

# Type stubs and C sources are for those who build against a package.
_SOURCES = frozenset({".pyi", ".pyx", ".pxd", ".c", ".h"})
_TESTS = frozenset({"test", "tests"})


def unused(site: Path) -> Iterator[Path]:
    """The files and folders below site-packages that go."""
    data = site / "botocore" / "data"
    if data.is_dir():
        yield from (path for path in data.iterdir() if path.name not in BOTOCORE_KEPT)
    for path in site.rglob("*"):
        if path.name in _TESTS if path.is_dir() else path.suffix in _SOURCES:
            yield path


def remove(paths: list[Path]) -> None:
    """Remove files and folders; one inside another that is gone already is no error."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def compile_all(site: Path) -> bool:
    """Write bytecode that is used without a look at its source: layers may change the sources' times."""
    skipped = tuple(str(site / each) for each in NOT_COMPILED)
    return all(
        compileall.compile_file(
            path, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
        for path in sorted(site.rglob("*.py"))
        if not str(path).startswith(skipped)
    )


def main(prefix: Path) -> int:
    """Trim every site-packages below `prefix`; 1 when a source cannot be compiled."""
    sites = sorted(prefix.glob("lib/python3*/site-packages"))
    if not sites:
        print(f"trim: there is no site-packages below {prefix}", file=sys.stderr)
        return 1
    for site in sites:
        remove(list(unused(site)))
        if not compile_all(site):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
