"""A table of noise: what no compression makes smaller, so that an archive has the parts that a test wants."""

_BLOCK = ", ".join(["RANDOM_BYTES(1024)"] * 16)


def noise(mib: int) -> list[str]:
    """Statements that make `shop.noise` in a database that is there, about so many MiB in rows of 16 KiB."""
    rows = f"SELECT seq, CONCAT({_BLOCK}) FROM shop.seq_1_to_{mib * 62}"  # noqa: S608
    return ["CREATE TABLE shop.noise (id INT PRIMARY KEY, b BLOB)", f"INSERT INTO shop.noise {rows}"]
