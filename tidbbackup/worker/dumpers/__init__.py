"""Dumpers: the programs that read rows from a database and write them into files of SQL.

Each is a package that implements the interface of `dumper.py`; `choice.py` is the one place that names them,
and nothing else in the worker knows which one runs (import-linter sees to it).

To add a third one:
1. Make a package beside `mydumper/` with a class that fulfils `dumper.Dumper` (what it cannot dump, told from
   the catalog before the dump) and one that fulfils `dumper.Dump` (one run: its command line, which closed
   file is whole, what its log means, whether its dump is whole).
2. Run the program by `process.run`, with a subclass of `process.DumperProcess` that reads its lines.
3. Name it in `choice.py`.
"""
