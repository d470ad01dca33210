"""A table of noise: what no compression makes smaller, so that an archive has the parts that a test wants."""

_ROW = "CONCAT(" + ", ".join(["RANDOM_BYTES(1024)"] * 16) + ")"
_ROWS_AT_ONCE = 62
"""About a MiB, so that no statement is a large transaction."""


def noise(mib: int) -> list[str]:
    """Statements that make `shop.noise` in a database that is there, about so many MiB in rows of 16 KiB."""
    rows = [f"({number}, {_ROW})" for number in range(1, mib * _ROWS_AT_ONCE + 1)]
    batches = [rows[first : first + _ROWS_AT_ONCE] for first in range(0, len(rows), _ROWS_AT_ONCE)]
    table = "CREATE TABLE shop.noise (id INT PRIMARY KEY, b BLOB)"
    return [table, *(f"INSERT INTO shop.noise VALUES {', '.join(batch)}" for batch in batches)]
