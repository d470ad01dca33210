"""Backup and BackupSchedule from their JSON, as users and the API server write it."""

import re
import tracemalloc
from typing import Any

import msgspec
import pytest

from tidbbackup.model.meta import Meta, ObjectKey, OwnerReference
from tidbbackup.model.resource.backup import Backup, decode_backup, spec_from_wire
from tidbbackup.model.resource.schedule import decode_schedule
from tidbbackup.model.wire import Free, members, objects

FROM = {"host": "tidb", "secretName": "db"}


def backup(**parts: Any) -> Backup:
    """A Backup decoded from these parts."""
    return decode_backup(msgspec.json.encode({"metadata": {"name": "demo", "namespace": "ns"}} | parts))


def test_from_is_a_keyword_and_comes_in_as_source() -> None:
    source = backup(spec={"from": FROM}).spec.source

    assert source is not None
    assert (source.host, source.port, source.user, source.secretName) == ("tidb", 4000, "root", "db")


def test_a_field_named_source_is_unknown() -> None:
    assert backup(spec={"source": FROM}).spec.source is None


def test_what_is_left_empty_is_absent() -> None:
    """YAML makes it null; the specification allows that."""
    spec = {
        "from": FROM | {"port": None},
        "s3": {"provider": "aws", "acl": None},
        "storageSize": None,
        "br": None,
    }
    read = backup(spec=spec).spec

    assert read.source is not None
    assert read.s3 is not None
    assert (read.source.port, read.s3.acl, read.storageSize, read.br) == (4000, "", "", None)
    assert read == spec_from_wire(msgspec.json.encode({"from": FROM, "s3": {"provider": "aws"}}))


def test_unknown_fields_are_passed_over() -> None:
    assert backup(spec={"from": FROM | {"new": 1}, "newer": {}}, status={"newest": 1}).spec.source is not None


def test_without_spec_and_status_it_is_empty() -> None:
    assert backup() == Backup(Meta(name="demo", namespace="ns"))
    assert backup(status=None).status == Backup(Meta()).status
    assert backup().key == ObjectKey("Backup", "ns", "demo")
    assert str(backup().key) == "Backup ns/demo"


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"from": {"host": 1}}, "from.host"),
        ({"s3": {"options": "--x"}}, "s3.options"),
        ({"s3": []}, "s3"),
        ({"pendingDeadlineSeconds": "soon"}, "pendingDeadlineSeconds"),
        ({"env": [1]}, "env"),
    ],
)
def test_a_wrong_type_names_its_path(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=path.replace(".", r"\.")):
        backup(spec=spec)


def test_history_of_another_operator_is_foreign() -> None:
    assert backup(status={"phase": "Complete"}).foreign
    assert not backup(status={"phase": "Complete", "observedGeneration": 1}).foreign
    assert not backup(status={"conditions": []}).foreign
    assert not backup().foreign


def test_the_controlling_owner_is_the_owner() -> None:
    refs = (OwnerReference("g/v1", "A", "a", "1"), OwnerReference("v1", "B", "b", "2", controller=True))

    assert Meta(ownerReferences=refs).owner == refs[1]
    assert Meta(ownerReferences=refs[:1]).owner is None
    assert [ref.identity for ref in refs] == [("g", "A", "a", "1"), ("", "B", "b", "2")]
    assert str(ObjectKey("Namespace", "", "ns")) == "Namespace ns"


def schedule(spec: dict[str, Any]) -> bytes:
    """The JSON of a BackupSchedule."""
    return msgspec.json.encode({"metadata": {"name": "s", "namespace": "ns"}, "spec": spec})


def test_a_schedule_and_its_template() -> None:
    spec = {
        "schedule": "*/2 * * * *",
        "maxReservedTime": "3h",
        "pause": None,
        "backupTemplate": {"from": FROM},
    }
    read = decode_schedule(schedule(spec))

    assert (read.spec.schedule, read.spec.maxReservedTime, read.spec.pause) == ("*/2 * * * *", "3h", False)
    assert read.spec.backupTemplate == spec_from_wire(msgspec.json.encode({"from": FROM}))
    assert str(read.key) == "BackupSchedule ns/s"


def test_a_schedule_without_template() -> None:
    assert decode_schedule(schedule({"schedule": "@daily"})).spec.backupTemplate is None


def test_a_template_takes_what_it_does_not_say_from_its_schedule() -> None:
    given = {
        "storageClassName": "fast",
        "storageSize": "9Gi",
        "serviceAccount": "sa",
        "imagePullSecrets": [{"name": "p"}],
    }
    spec = {"schedule": "@daily", "backupTemplate": {"from": FROM}} | given

    filled = decode_schedule(schedule(spec)).spec.backup_spec()
    assert filled == spec_from_wire(msgspec.json.encode({"from": FROM} | given))

    own = {
        "storageClassName": "slow",
        "storageSize": "1Gi",
        "serviceAccount": "own",
        "imagePullSecrets": [{"name": "q"}],
    }
    filled = decode_schedule(schedule(spec | {"backupTemplate": {"from": FROM} | own})).spec.backup_spec()
    assert filled == spec_from_wire(msgspec.json.encode({"from": FROM} | own))


def test_a_schedule_without_template_makes_an_empty_spec() -> None:
    assert decode_schedule(schedule({"schedule": "@daily"})).spec.backup_spec() == spec_from_wire(
        msgspec.json.encode({})
    )


MANY = [{"name": f"A{index}"} for index in range(65_000)]


@pytest.mark.parametrize("field", ["env", "tolerations", "additionalVolumes"])
@pytest.mark.parametrize("kind", ["Backup", "BackupSchedule"])
def test_a_free_field_costs_its_bytes_and_nothing_more(kind: str, field: str) -> None:
    spec: dict[str, Any] = {field: MANY} if kind == "Backup" else {"backupTemplate": {field: MANY}}
    item = msgspec.json.encode({"metadata": {"name": "demo"}, "spec": spec})
    page = msgspec.json.decode(b"[" + item + b"]", type=list[msgspec.Raw])
    decode = decode_backup if kind == "Backup" else decode_schedule
    decode(page[0])
    tracemalloc.start()
    try:
        read = decode(page[0])
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < len(item) + 10_000
    assert most < 3 * len(item)
    assert read.metadata.name == "demo"


def test_a_free_field_is_judged_by_its_shape_alone_and_rendered_without_nulls() -> None:
    read = backup(spec={"env": [{"name": "A", "value": None}], "affinity": {"podAffinity": None}, "br": {}})
    assert objects(read.spec.env) == [{"name": "A"}]
    assert members(read.spec.affinity) == {}
    assert read.spec.br == Free(b"{}")
    assert objects(read.spec.tolerations) == []
    for wrong, path in (({"env": {}}, "$.env`"), ({"env": [{}, 1]}, "$.env[1]`"), ({"br": []}, "$.br`")):
        with pytest.raises(msgspec.ValidationError, match=re.escape(path)):
            backup(spec=wrong)
    with pytest.raises(msgspec.ValidationError, match=re.escape("$.backupTemplate.env[0]`")):
        decode_schedule(schedule({"schedule": "@daily", "backupTemplate": {"env": ["A"]}}))


def test_what_has_no_field_is_not_even_decoded() -> None:
    spec = {"from": FROM, "source": {"host": 5}, "unheardOf": MANY}
    assert backup(spec=spec).spec == spec_from_wire(msgspec.json.encode({"from": FROM}))


def test_backups_with_the_same_spec_share_it() -> None:
    one, other = (backup(spec={"tolerations": [{"key": "a"}]}) for _ in range(2))
    assert one.spec is other.spec
    assert backup(spec={"tolerations": [{"key": "b"}]}).spec != one.spec


def test_backups_share_the_words_of_their_conditions() -> None:
    said = {
        "type": "Complete",
        "status": "True",
        "reason": "Uploaded",
        "message": "the archive is in the bucket",
    }
    one, other = (backup(status={"conditions": [said]}).status.conditions[0] for _ in range(2))
    assert all(getattr(one, name) is getattr(other, name) for name in said)
