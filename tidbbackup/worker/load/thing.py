"""An object in a database, as archive and server both have it. Pure."""

from __future__ import annotations

from attrs import frozen

from tidbbackup.worker.definitions.text import quoted


@frozen
class Thing:
    """Kind as in CREATE, in capitals."""

    kind: str
    database: str
    name: str

    @property
    def sql(self) -> str:
        """Its name as SQL writes it, also for people."""
        return f"{quoted(self.database)}.{quoted(self.name)}"
