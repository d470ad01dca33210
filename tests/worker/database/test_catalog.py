"""What the catalog says of all databases together."""

from tidbbackup.worker.database.catalog import Database, Table, estimated_bytes


def test_the_estimate_is_the_sum_over_what_is_taken() -> None:
    shop = Database("shop", (Table("t", data_bytes=5), Table("v", "VIEW", None)))
    assert estimated_bytes((shop, Database("more", (Table("u", data_bytes=7),)))) == 12
    assert estimated_bytes(()) == 0
