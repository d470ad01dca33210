"""Whether a user's grants let mydumper see everything: what is hidden from it is missing without an error.

Reads the lines of SHOW GRANTS. Must not know a connection.
"""

from __future__ import annotations

import re

from attrs import frozen

_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<where>\S.*?) TO (?P<who>.+?)(?: |$)", re.DOTALL)
_REVOKE = re.compile(r"REVOKE (?P<what>.+?) ON (?P<where>\S.*?) FROM ", re.DOTALL)
_ROLE = re.compile(r"GRANT (?!.* ON ).+ TO ", re.DOTALL)

# What has to be granted on *.*, and what stands for it elsewhere.
_NEEDED = {
    "SELECT": ("SELECT",),
    "RELOAD": ("RELOAD", "FLUSH_TABLES"),
    "SHOW VIEW": ("SHOW VIEW",),
    "TRIGGER": ("TRIGGER",),
    "EVENT": ("EVENT",),
}
_NEEDED_ON_TIDB = {"SELECT": ("SELECT",)}


@frozen
class GrantReport:
    """What SHOW GRANTS shows."""

    missing: tuple[str, ...] = ()
    """Privileges not granted on *.*."""
    revoked: tuple[str, ...] = ()
    """Databases on which a needed one has been taken back (MySQL's partial revokes)."""
    undecided: bool = False
    """Roles are granted whose content we do not see."""
    account: str = ""

    @property
    def cure(self) -> str:
        """The statement that helps."""
        return self.cure_of(*self.missing)

    def cure_of(self, *privileges: str) -> str:
        """The statement that grants these."""
        return f"GRANT {', '.join(privileges)} ON *.* TO {self.account or 'the user'};"


def read_grants(lines: tuple[str, ...], is_tidb: bool, *, locks: bool = True) -> GrantReport:
    """Compare SHOW GRANTS with what a whole dump needs. `locks`: it takes the global read lock."""
    granted: set[str] = set()
    revoked: set[str] = set()
    account = ""
    needed = dict(_NEEDED_ON_TIDB if is_tidb else _NEEDED)
    if not locks:
        needed.pop("RELOAD", None)
    for line in lines:
        if match := _GRANT.match(line):
            account = account or match["who"]
            if match["where"].replace("`", "") == "*.*":
                granted |= _privileges(match["what"])
        elif (match := _REVOKE.match(line)) and _privileges(match["what"]) & needed.keys():
            revoked.add(match["where"].removesuffix(".*").strip("`"))
    roles = any(_ROLE.match(line) for line in lines)
    everything = bool(granted & {"ALL PRIVILEGES", "ALL"})
    missing = tuple(n for n, same in needed.items() if not everything and not granted & set(same))
    return GrantReport(missing, tuple(sorted(revoked)), bool(missing) and roles, account)


def _privileges(text: str) -> set[str]:
    """Names of the privileges in one GRANT, those on single columns left out."""
    return {name.strip().upper() for name in re.sub(r"\([^)]*\)", "()", text).split(",") if "(" not in name}
