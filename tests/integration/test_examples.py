"""The specification's examples, taken by kubectl as they stand, and what becomes of them."""

import pytest
import yaml

from tests.integration.scene import Scene, phase, why

pytestmark = pytest.mark.integration


def example(scene: Scene, name: str) -> dict[str, object]:
    """An example, filled in, in this test's namespace and bucket."""
    manifest = yaml.safe_load(scene.lab.example(name))
    manifest["metadata"]["namespace"] = scene.namespace
    spec = manifest["spec"].get("backupTemplate", manifest["spec"])
    spec["s3"]["bucket"] = scene.bucket
    found: dict[str, object] = manifest
    return found


@pytest.mark.parametrize("name", ["backup-s3.yaml", "backup-ceph.yaml"])
async def test_with_keys_it_completes(scene: Scene, name: str) -> None:
    await scene.apply(example(scene, name))

    backup = await scene.until_over("demo1-backup-s3")

    assert phase(backup) == "Complete", why(backup)
    status = backup["status"]
    assert status["databases"] == ["mysql_app", "shop", "test"]
    assert status["checksum"].startswith("sha256:")
    assert status["observedGeneration"] == backup["metadata"]["generation"]
    table = await scene.kubectl("get", "bk", "-owide")
    assert status["backupPath"] in table


async def test_on_aws_the_class_is_standard_ia_and_no_acl_is_sent(scene: Scene) -> None:
    await scene.apply(example(scene, "backup-s3.yaml"))
    backup = await scene.until_phase("Complete", "demo1-backup-s3")

    key = backup["status"]["backupPath"].removeprefix(f"s3://{scene.bucket}/")
    assert (await scene.lab.store.head(scene.bucket, key))["StorageClass"] == "STANDARD_IA"


async def test_with_a_role_on_the_pod_it_makes_a_pod_with_the_annotation_and_no_keys(scene: Scene) -> None:
    await scene.apply(example(scene, "backup-s3-iam-pod.yaml"))
    await scene.until(lambda found: phase(found) != "", "demo1-backup-s3")

    (job,) = await scene.jobs()
    template = job["spec"]["template"]
    role = "arn:aws:iam::123456789012:role/user"
    assert template["metadata"]["annotations"] == {"iam.amazonaws.com/role": role}
    (container,) = template["spec"]["containers"]
    assert not any(variable["name"].startswith("AWS_") for variable in container["env"])


async def test_with_a_role_on_the_service_account_it_makes_a_pod_with_that_account(scene: Scene) -> None:
    await scene.kubectl("create", "serviceaccount", "tidb-backup-manager")
    await scene.apply(example(scene, "backup-s3-iam-service-account.yaml"))
    await scene.until(lambda found: phase(found) != "", "demo1-backup-s3")

    (job,) = await scene.jobs()
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "tidb-backup-manager"
    assert pod["automountServiceAccountToken"] is False
    assert not any(variable["name"].startswith("AWS_") for variable in pod["containers"][0]["env"])


@pytest.mark.parametrize(
    "name",
    [
        "backup-schedule-s3.yaml",
        "backup-schedule-ceph.yaml",
        "backup-schedule-s3-iam-pod.yaml",
        "backup-schedule-s3-iam-service-account.yaml",
    ],
)
async def test_the_schedule_examples_are_accepted(scene: Scene, name: str) -> None:
    answer = await scene.apply(example(scene, name))

    assert "created" in answer


async def test_explain_reads_well(scene: Scene) -> None:
    text = await scene.kubectl("explain", "backup.spec.s3.storageClass")

    assert "STANDARD_IA on aws" in " ".join(text.split())


async def test_fields_may_be_left_empty(scene: Scene) -> None:
    """The specification: "You can also leave the configuration item fields empty"; YAML makes that null."""
    manifest = example(scene, "backup-s3.yaml")
    spec = manifest["spec"]
    assert isinstance(spec, dict)
    spec["s3"] |= {"acl": None, "storageClass": None, "prefix": None}
    spec["cleanPolicy"] = None
    await scene.apply(manifest)

    assert phase(await scene.until_over("demo1-backup-s3")) == "Complete"
