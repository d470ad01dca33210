"""Secrets that are missing, incomplete, empty, wrong or odd."""

from typing import Any

import pytest

from tests.integration.scene import Scene, phase, why

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": {"secretName": "nowhere"}}, 'secret "nowhere" not found'),
        ({"s3": {"secretName": "nowhere"}}, 'secret "nowhere" not found'),
        ({"source": {"secretName": "s3-secret"}}, "couldn't find key password in Secret"),
        ({"s3": {"secretName": "backup-demo1-tidb-secret"}}, "couldn't find key access_key in Secret"),
    ],
    ids=["password", "keys", "password-key", "keys-key"],
)
async def test_a_secret_that_is_not_there_fails_the_backup_in_time(
    scene: Scene, change: dict[str, Any], words: str
) -> None:
    # Without a volume: that would be what a pod waits for at first.
    await scene.apply(
        scene.backup(pendingDeadlineSeconds=3, storageClassName=None, storageSize=None, **change)
    )

    backup = await scene.until_phase("Failed", seconds=15)

    reason, message = why(backup)
    assert reason == "SecretMissing"
    assert message.startswith("the pod did not start within 3 s: ")
    assert words in message
    assert "create it in this namespace (kubectl create secret generic): the pod then starts" in message
    await scene.until_no_job()
    await scene.delete()
    await scene.until_gone(seconds=5)


async def test_a_secret_that_appears_in_time_is_used(scene: Scene) -> None:
    await scene.apply(scene.backup(source={"secretName": "late"}))
    await scene.until_waiting("CreateContainerConfigError")
    await scene.secret("late", {"password": scene.lab.database.password})

    backup = await scene.until_over()

    assert phase(backup) == "Complete", why(backup)


@pytest.mark.parametrize("key", ["access_key", "secret_key", "session_token"])
async def test_an_empty_key_is_named_and_never_falls_through(scene: Scene, key: str) -> None:
    keys = {"access_key": scene.lab.store.access_key, "secret_key": scene.lab.store.secret_key}
    await scene.secret("s3-secret", {**keys, key: ""})
    await scene.apply(scene.backup())

    reason, message = why(await scene.until_phase("Failed"))

    assert reason == "CredentialsMissing"
    assert f"`{key}` in the Secret of spec.s3.secretName is empty" in message
    out = "it from the Secret" if key == "session_token" else "spec.s3.secretName"
    assert f"put the key there, or remove {out}" in message


@pytest.mark.parametrize(
    ("password", "hint"),
    [
        ("", "that password is empty"),
        ("not-it", "check spec.from.user and the key `password` in the Secret of spec.from.secretName"),
        ("right\n", "that password begins or ends with white space, perhaps a line feed from `echo`"),
    ],
    ids=["empty", "wrong", "line-feed"],
)
async def test_a_wrong_password_is_a_login_error_that_tells_what_is_odd(
    scene: Scene, password: str, hint: str
) -> None:
    given = password.replace("right", scene.lab.database.password)
    await scene.secret("backup-demo1-tidb-secret", {"password": given})
    await scene.apply(scene.backup())

    reason, message = why(await scene.until_phase("Failed"))

    assert reason == "LoginFailed"
    assert hint in message
    assert "check spec.from.user" in message
    assert not password or password.strip() not in message


@pytest.mark.parametrize(
    "password",
    ["qu'o\"te`s\\", "$HOME $(AWS_SECRET_ACCESS_KEY) ${x} %s", "ünï-漢字-🙂", "line feed at the end\n"],
    ids=["quotes", "dollars", "unicode", "line-feed"],
)
async def test_odd_passwords_are_used_as_they_are(scene: Scene, password: str) -> None:
    await scene.lab.database.sql("CREATE OR REPLACE USER odd@'%%' IDENTIFIED BY %s", [password])
    await scene.lab.database.sql("GRANT ALL PRIVILEGES ON *.* TO odd@'%'")
    await scene.secret("odd", {"password": password})
    await scene.apply(scene.backup(source={"user": "odd", "secretName": "odd"}))

    backup = await scene.until_over()

    assert phase(backup) == "Complete", why(backup)
