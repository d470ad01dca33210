"""Mends one query text in mydumper 0.10.1: `python3 mend_mydumper.py /usr/bin/mydumper`.

That version takes every column whose EXTRA has the word GENERATED for computed and leaves its values out of
the dump; MySQL 8 and TiDB say DEFAULT_GENERATED of ordinary columns (mydumper's issue 221). The kinds of real
computed columns, VIRTUAL GENERATED and STORED GENERATED, have a blank before the word. The text keeps its
length: the blank before the quote moves behind the percent signs. A later version, which needs no mending,
is left as it is. This file is the whole of the change to that GPL program. Standard library only.
"""

import os
import sys
from pathlib import Path

WRONG = b"like '%%GENERATED%%'"
RIGHT = b"like'%% GENERATED%%'"


def mended(program: bytes) -> bytes:
    """The program with both queries mended, or as it is if it knows DEFAULT_GENERATED itself.

    Raises ValueError where neither is so: an unknown build must be looked at.
    """
    if b"DEFAULT_GENERATED" in program or (RIGHT in program and WRONG not in program):
        return program
    if program.count(WRONG) != 2:
        raise ValueError(f"found {program.count(WRONG)} queries to mend instead of 2")
    return program.replace(WRONG, RIGHT)


def main() -> None:
    """Mend the file in place, whole or not at all."""
    path = Path(sys.argv[1])
    part = path.with_suffix(".part")
    part.write_bytes(mended(path.read_bytes()))
    part.chmod(0o755)
    os.replace(part, path)


if __name__ == "__main__":
    main()
