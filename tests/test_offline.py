"""`tidbbackup check` and `render`: what is said of a file, and with which exit code.

Here is also what metadata_schema.py, schema_check.py and yaml_files.py promise.
"""

import io
import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from tests.manifests.test_examples import BACKUPS, FILLED, load
from tests.yaml_cases import FILES
from tidbbackup.cli import main
from tidbbackup.offline import check, render
from tidbbackup.schema_check import schema_problems

GOOD = """
apiVersion: pingcap.com/v1alpha1
kind: Backup
metadata: {name: demo, namespace: ns}
spec:
  from: {host: tidb, secretName: db}
  s3: {provider: aws, bucket: my-bucket, secretName: s3}
"""
RESTORE = """
apiVersion: pingcap.com/v1alpha1
kind: Restore
metadata: {name: again, namespace: ns}
spec:
  to: {host: tidb, secretName: db}
  s3: {provider: aws, path: "s3://my-bucket/backup-1.tgz", secretName: s3}
"""
SCHEDULE = """
apiVersion: pingcap.com/v1alpha1
kind: BackupSchedule
metadata: {name: nightly, namespace: ns, annotations: {iam.amazonaws.com/role: r}}
spec:
  schedule: "0 3 * * *"
  serviceAccount: sa
  backupTemplate:
    from: {host: tidb, secretName: db}
    s3: {provider: aws, bucket: my-bucket}
"""
# As in the specification: everything below metadata and spec has lost its indentation.
LOST = """
apiVersion: pingcap.com/v1alpha1
kind: Backup
metadata:
name: demo1-backup-s3
namespace: test1
spec:
backupType: full
from:
    host: tidb
"""
LOST_SPEC = """
apiVersion: pingcap.com/v1alpha1
kind: Backup
metadata: {name: demo}
spec:
backupType: full
"""


def checked(tmp_path: Path, text: str) -> tuple[int, str]:
    """Exit code and output of `check`."""
    file, out = tmp_path / "file.yaml", io.StringIO()
    file.write_text(text)
    return check([str(file)], out, sys.stderr), out.getvalue()


def rendered(tmp_path: Path, text: str) -> tuple[int, str, str]:
    """Exit code, output and error output of `render`."""
    file, out, err = tmp_path / "file.yaml", io.StringIO(), io.StringIO()
    file.write_text(text)
    return render([str(file)], "image:1", out, err), out.getvalue(), err.getvalue()


def test_a_good_one(tmp_path: Path) -> None:
    assert checked(tmp_path, GOOD) == (0, "Backup demo: ok\n")


def test_a_restore_is_judged_and_rendered_too(tmp_path: Path) -> None:
    assert checked(tmp_path, RESTORE) == (0, "Restore again: ok\n")
    code, told = checked(tmp_path, RESTORE.replace("host: tidb", "host: a b").replace("backup-1.tgz", "x"))
    assert code == 3
    assert "spec.to.host: 'a b': write a host name" in told
    assert "spec.s3.path" in told
    code, out, _ = rendered(tmp_path, GOOD + "---" + RESTORE)
    assert code == 0
    assert [job["metadata"]["name"] for job in yaml.safe_load_all(out)] == ["backup-demo", "restore-again"]
    # Which archive that is only the cluster knows.
    named = RESTORE.partition("  s3:")[0] + "  backup: demo\n"
    assert checked(tmp_path, named)[0] == 0
    code, out, err = rendered(tmp_path, named)
    assert (code, "its Job depends on Backup demo" in err) == (0, True)


def test_what_has_no_effect_is_a_warning(tmp_path: Path) -> None:
    code, out = checked(tmp_path, GOOD + "  toolImage: x\n")

    assert code == 0
    assert "  warning: spec.toolImage has no effect\n" in out


def test_every_problem_of_every_document(tmp_path: Path) -> None:
    bad = GOOD.replace("my-bucket", "ab").replace("host: tidb", "host: --exec=sh, port: 70000")
    code, out = checked(tmp_path, f"{GOOD}---\n{bad}---\n{SCHEDULE}")

    assert code == 3
    assert "Backup demo: ok" in out
    assert "  spec.s3.bucket: 'ab': a bucket's name has 3 to 255" in out
    assert "  spec.from.host: '--exec=sh': write a host name" in out
    assert out.count("spec.from.port: 70000") == 1
    assert "BackupSchedule nightly: ok" in out


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            ("bucket: my-bucket", "bucket: my-bucket, acl: open"),
            "spec.backupTemplate.s3.acl: 'open': write one of",
        ),
        (("host: tidb", "host: tidb, port: 0"), "spec.backupTemplate.from.port: 0: write a"),
        (("host: tidb", "host: tidb, prot: 0"), "spec.backupTemplate.from.prot: no such field"),
        (("host: tidb", "host: [tidb]"), "spec.backupTemplate.from.host: ['tidb']: must be of type string"),
    ],
)
def test_a_problem_of_a_template_has_its_whole_path_once(
    tmp_path: Path, change: tuple[str, str], line: str
) -> None:
    code, out = checked(tmp_path, SCHEDULE.replace(*change))

    assert code == 3
    assert f"  {line}" in out
    assert len(out.splitlines()) == 2, out


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("schedule: ", "schedule: '* * * * * *' #"), "spec.schedule: '* * * * * *': has 6 fields"),
        (("schedule: ", "schedule: '0 0 30 2 *' #"), "spec.schedule: '0 0 30 2 *': is never due"),
        (
            ("spec:", "spec:\n  timeZone: Mars/Olympus"),
            "spec.timeZone: 'Mars/Olympus': write",
        ),
        (("name: nightly", f"name: {'n' * 240}"), "metadata.name: "),
    ],
)
def test_cron_zone_and_name_of_a_schedule_are_judged(
    tmp_path: Path, change: tuple[str, str], line: str
) -> None:
    code, out = checked(tmp_path, SCHEDULE.replace(*change, 1))

    assert code == 3
    assert f"  {line}" in out
    assert len(out.splitlines()) == 2, out


def test_all_that_is_wrong_with_a_schedule_is_told_at_once(tmp_path: Path) -> None:
    text = SCHEDULE.replace("schedule: ", "schedule: '* * * * * *' #", 1)
    code, out = checked(tmp_path, text.replace("spec:", "spec:\n  timeZone: Mars/Olympus", 1))

    assert code == 3
    assert [line.split(":")[0] for line in out.splitlines()[1:]] == ["  spec.timeZone", "  spec.schedule"]


def test_a_retention_that_is_no_duration_is_a_warning(tmp_path: Path) -> None:
    code, out = checked(tmp_path, SCHEDULE.replace("spec:", "spec:\n  maxReservedTime: soon", 1))

    assert code == 0
    assert "  warning: spec.maxReservedTime: 'soon': write a duration" in out


def test_a_list_is_all_that_is_in_it(tmp_path: Path) -> None:
    items = [yaml.safe_load(GOOD), yaml.safe_load(SCHEDULE)]
    code, out = checked(tmp_path, yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}))

    assert (code, out) == (0, "Backup demo: ok\nBackupSchedule nightly: ok\n")


def test_a_schedule_without_template(tmp_path: Path) -> None:
    code, out = checked(tmp_path, SCHEDULE.split("  backupTemplate")[0])

    assert code == 3
    assert "spec.backupTemplate" in out


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GOOD + "  storageSize: 10Gx\n", "spec.storageSize: '10Gx': write a"),
        (
            GOOD + "  compression: bzip2\n",
            "spec.compression: 'bzip2': write one of gzip, zstd",
        ),
        (
            GOOD + "  cleanPolicy: Shred\n",
            "spec.cleanPolicy: 'Shred': write one of Retain, OnFailure, Delete",
        ),
        (GOOD + "  pendingDeadlineSeconds: 0\n", "spec.pendingDeadlineSeconds: 0: write a number from 1 to"),
        (GOOD + "  ttl: 1\n", "spec.ttl: no such field"),
        (GOOD + "  on: 1\n  x: 1\n", "spec.true: no such field"),
        (GOOD + f"  toolImage: {'x' * 2000}\n", "is too long: 1024 at the most"),
        (GOOD.replace("provider: aws, ", ""), "spec.s3.provider: is missing"),
        (GOOD.replace("host: tidb", "host: "), "spec.from.host: must be of type string"),
        (
            GOOD.replace("host: tidb", "host: tidb, port: 99999999999999999999999"),
            "spec.from.port: 1e+23: write",
        ),
        (GOOD.replace("host: tidb", "host: ''"), "spec.from.host: '':"),
        (LOST_SPEC, "spec: must be of type object"),
        (LOST_SPEC, "backupType: no such field"),
    ],
)
def test_what_the_api_server_would_refuse(tmp_path: Path, text: str, line: str) -> None:
    code, out = checked(tmp_path, text)

    assert code == 3
    assert line in out, out


@pytest.mark.parametrize("name", FILES)
def test_what_kubectl_takes_is_ok_and_nothing_else(tmp_path: Path, name: str) -> None:
    file, out = tmp_path / "file.yaml", io.StringIO()
    file.write_bytes(FILES[name].data())

    fine = FILES[name].taken and not FILES[name].twice
    assert (check([str(file)], out, sys.stderr) == 0) is fine, out.getvalue()


def test_all_that_is_wrong_with_the_metadata_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace(
        "{name: demo, namespace: ns}",
        "{name: Demo, namespace: a.b, nam: x,"
        " labels: {a: 017, b c: x, d: x y}, annotations: {a/b/c: x, e: off}}",
    )
    code, out = checked(tmp_path, text)

    assert code == 3
    ends = "a letter or digit at both ends"
    key = f"write a key such as example.com/name: at most 63 letters, digits, -, _ and ., {ends}"
    assert [line.strip().removesuffix(" (line 4)") for line in out.splitlines()[1:]] == [
        "metadata.annotations.e: False: must be of type string: write it in quotes",
        f"metadata.annotations: 'a/b/c': {key}",
        "metadata.labels.a: 15: must be of type string: write it in quotes",
        f"metadata.labels.d: 'x y': write letters, digits, -, _ and ., {ends}",
        f"metadata.labels: 'b c': {key}",
        "metadata.nam: no such field; did you mean name?",
        f"metadata.name: 'Demo': write lower case letters, digits, - and ., {ends} of each part",
        f"metadata.namespace: 'a.b': write lower case letters, digits and -, {ends}",
    ]


def test_a_name_to_be_generated(tmp_path: Path) -> None:
    text = GOOD.replace("name: demo", "generateName: demo-")
    code, out = checked(tmp_path, text)
    (job,) = yaml.safe_load_all(rendered(tmp_path, text)[1])

    assert (code, out.splitlines()[0]) == (0, "Backup demo-: ok")
    assert "  warning: metadata.generateName: kubectl apply refuses it, use kubectl create" in out
    assert re.fullmatch("backup-demo-[0-9a-f]{5}", job["metadata"]["name"])


def test_a_field_that_stands_twice_is_refused(tmp_path: Path) -> None:
    code, out = checked(tmp_path, GOOD + "  cleanPolicy: Retain\n  cleanPolicy: Delete\n")

    assert code == 3
    assert "  spec.cleanPolicy: stands twice in the same object: remove one (line 9)" in out


def test_every_problem_has_its_line(tmp_path: Path) -> None:
    """A value of a wrong type hides no other problem; what is missing has the line of what lacks it."""
    text = GOOD.replace("host: tidb", "host: a b, port: '4000'").replace("provider: aws, ", "")
    code, out = checked(tmp_path, f"{GOOD}---{text}  ttl: 1\n")

    assert code == 3
    assert [line.strip() for line in out.splitlines()[2:]] == [
        "spec.from.port: '4000': must be of type integer (line 13)",
        "spec.s3.provider: is missing (line 14)",
        "spec.ttl: no such field (line 15)",
        "spec.from.host: 'a b': write a host name or an IP address, nothing else (line 13)",
    ]


def test_a_problem_in_a_list_has_its_line_in_the_file(tmp_path: Path) -> None:
    item = GOOD.replace("host: tidb", "host: a b").replace("\n", "\n  ").rstrip()
    code, out = checked(tmp_path, f"apiVersion: v1\nkind: List\nitems:\n-{item}\n")

    assert code == 3
    assert "spec.from.host: 'a b': write a host name or an IP address, nothing else (line 9)" in out


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("bucket: my", "bukket: my"), "spec.s3.bukket: no such field; did you mean bucket? (line"),
        (("provider: aws", "provider: AWS"), "spec.s3.provider: 'AWS': write one of aws, "),
        (("provider: aws", "provider: AWS"), "did you mean aws? (line"),
        (
            ("bucket: my-bucket", "bucket: s3://b/x"),
            "spec.s3.bucket: 's3://b/x': write b/x, without s3:// (line",
        ),
        (("spec:", "spec:\n  storageSize: 10GB"), "write a quantity such as 10Gi; did you mean 10G? (line"),
        (("spec:", "spec:\n  cleanPolicy: delete"), "did you mean Delete? (line"),
        (("host: tidb", "host: tidb:4000"), "write the port into spec.from.port (line"),
        (("kind: Backup", "kind: BackUp"), "kind: 'BackUp': write Backup (line 10)"),
        (("v1alpha1", "v1"), "apiVersion: 'pingcap.com/v1': write pingcap.com/v1alpha1 (line 9)"),
    ],
)
def test_what_is_nearly_right_is_told_how_to_write_it(
    tmp_path: Path, change: tuple[str, str], line: str
) -> None:
    code, out = checked(tmp_path, f"{GOOD}---{GOOD.replace(*change)}")

    assert code == 3
    assert line in out, out


def test_what_is_not_ours_is_named_and_not_checked(tmp_path: Path) -> None:
    others = "".join(
        f"---\napiVersion: {api}\nkind: {kind}\nmetadata: {{name: x}}\n"
        for api, kind in (
            ("v1", "Secret"),
            ("velero.io/v1", "Backup"),
            ("pingcap.com/v1alpha1", "TidbCluster"),
        )
    )
    code, out = checked(tmp_path, GOOD + others)

    assert code == 0
    assert out.splitlines()[1:] == [
        "Secret x: not checked",
        "Backup x: not checked",
        "TidbCluster x: not checked",
    ]


def test_more_kept_than_the_limit_is_a_warning(tmp_path: Path) -> None:
    code, out = checked(tmp_path, SCHEDULE.replace("spec:", "spec:\n  minBackups: 9\n  maxBackups: 7", 1))

    assert code == 0
    assert "  warning: spec.minBackups: 9: is more than spec.maxBackups, 7: 9 are kept" in out


def test_several_files_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("folder/b.yaml", "folder/a.yml", "folder/notes.md", "c.yaml"):
        (tmp_path / name).write_text(GOOD if name != "c.yaml" else SCHEDULE)

    assert main(["check", "-f", str(tmp_path / "c.yaml"), str(tmp_path / "folder")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/folder/a.yml: Backup demo: ok",
        f"{tmp_path}/folder/b.yaml: Backup demo: ok",
        f"{tmp_path}/c.yaml: BackupSchedule nightly: ok",
    ]
    (tmp_path / "empty").mkdir()
    assert main(["check", str(tmp_path / "empty")]) == 2
    assert "no file in this folder ends in .yaml, .yml, .json" in capsys.readouterr().err


def test_what_the_controller_could_not_read_is_refused(tmp_path: Path) -> None:
    deep = json.dumps(yaml.safe_load(GOOD)).replace(
        '"s3":', f'"cleanOption": {{"v": {"[" * 900}{"]" * 900}}}, "s3":', 1
    )

    assert checked(tmp_path, deep)[0] == 3
    assert checked(tmp_path, deep.replace("[" * 900 + "]" * 900, r'"\ud83d"'))[0] == 3


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("host: tidb", "host: tidb, port: , user: "),
        GOOD + "  pendingDeadlineSeconds:\n  cleanPolicy:\n  storageSize:\n  mydumper:\n",
        GOOD.replace("namespace: ns", "namespace: ns, annotations: , labels: , creationTimestamp: "),
        SCHEDULE.replace("spec:\n", "spec:\n  pause:\n  concurrencyPolicy:\n  maxBackups:\n", 1),
    ],
)
def test_what_is_left_empty_is_fine(tmp_path: Path, text: str) -> None:
    """The API server prunes a null where a default is, and takes it where none is."""
    assert checked(tmp_path, text)[0] == 0, checked(tmp_path, text)[1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "not YAML"),
        ("\x00", "not YAML"),
        ("", "holds no pingcap.com/v1alpha1 Backup"),
        ("just words", "holds something without apiVersion or without kind"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n", "holds no"),
        (GOOD.replace("kind: Backup", "kind: Sketch"), "holds no"),
        ("apiVersion: v1\nkind: List\nitems: x\n", "holds something without apiVersion"),
        (LOST, "a Backup has no metadata.name or generateName (was its indentation lost?)"),
    ],
)
def test_what_is_no_file_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    assert checked(tmp_path, text) == (2, "")
    assert why in capsys.readouterr().err
    code, out, err = rendered(tmp_path, text)
    assert (code, out) == (2, "")
    assert why in err


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml: No such file or directory" in capsys.readouterr().err
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfa")
    assert main(["check", str(tmp_path / "binary")]) == 2


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))

    assert main(["check", "-"]) == 0
    assert capsys.readouterr().out == "Backup demo: ok\n"


def test_the_jobs_of_a_file(tmp_path: Path) -> None:
    code, out, err = rendered(tmp_path, f"{GOOD}---\n{SCHEDULE}")
    one, two = yaml.safe_load_all(out)

    assert (code, err) == (0, "")
    assert (one["metadata"]["name"], two["metadata"]["name"]) == ("backup-demo", "backup-nightly")
    assert one["spec"]["template"]["spec"]["containers"][0]["image"] == "image:1"
    assert "*id" not in out
    assert "&id" not in out
    # What the schedule says for its template, and the annotation that travels.
    assert two["spec"]["template"]["spec"]["serviceAccountName"] == "sa"
    assert two["spec"]["template"]["metadata"]["annotations"] == {"iam.amazonaws.com/role": "r"}


def test_nothing_is_rendered_where_something_is_wrong(tmp_path: Path) -> None:
    code, out, err = rendered(tmp_path, f"{GOOD}---\n{GOOD.replace('my-bucket', 'ab')}")

    assert (code, out) == (3, "")
    assert "Backup demo: spec.s3.bucket: 'ab'" in err


@pytest.mark.parametrize("path", BACKUPS, ids=lambda path: path.name)
def test_the_specifications_examples(tmp_path: Path, path: Path) -> None:
    text = yaml.safe_dump(load(path))

    assert checked(tmp_path, text)[0] == 0
    assert rendered(tmp_path, text)[0] == 0
    assert schema_problems(load(path)["kind"], load(path)) == ()
    assert FILLED["bucket"] in rendered(tmp_path, text)[1]
