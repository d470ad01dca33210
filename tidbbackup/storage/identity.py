"""The pod's own identity where no Secret holds keys: IRSA, EKS Pod Identity, kube2iam, the node's role.

The chain is AWS's own, in botocore; here it is asked at the start, several times, and its errors say what is
missing. What it finds renews itself while it is used. Must not know what is stored.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tidbbackup.model import reasons
from tidbbackup.storage.errors import StorageError, explain_identity

log = logging.getLogger(__name__)

# kube2iam and its like answer late for a new pod: with silence, which this bounds, or with errors.
_METADATA_TIMEOUT_SECONDS = 5

_FOUR_WAYS = (
    "no credentials found: give a Secret with access_key and secret_key (spec.s3.secretName), a role by the "
    "annotation iam.amazonaws.com/role, a service account with a role (spec.serviceAccount, IRSA or EKS Pod "
    "Identity), or the node a role that pods may use"
)


async def find_identity(session: Any, region: str, pauses: tuple[float, ...]) -> None:
    """Have the session find credentials and see that they can be had; tries again after each pause (seconds).

    Raises:
        StorageError: CredentialsMissing where there are none, CredentialsRefused where AWS gives none for
            what the pod has.
    """
    session.set_config_variable("metadata_service_timeout", _METADATA_TIMEOUT_SECONDS)
    if region:
        # STS is regional, and the pod need not say which region it is in.
        session.set_config_variable("region", region)
    for pause in (*pauses, None):
        try:
            found = await session.get_credentials()
            if found is not None:
                await found.get_frozen_credentials()
                return
            failure = StorageError(reasons.CREDENTIALS_MISSING, _FOUR_WAYS)
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            failure = explain_identity(error)
        if pause is None:
            raise failure
        log.warning("%s; once more in %g s", failure, pause)
        await asyncio.sleep(pause)
