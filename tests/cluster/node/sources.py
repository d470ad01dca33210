"""Asks the API server for what pods are made of: Secrets, ConfigMaps, claims, tokens."""

import base64
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from tests.cluster.api import JSON, Api, ApiRefused

from .calls import get_if_there, persist
from .environment import Data, Source, Sources
from .files import MountError


@frozen(eq=False)
class PodSources:
    """The objects that one pod may ask for."""

    api: Api
    pod: JSON

    @property
    def _namespace(self) -> str:
        return f"/api/v1/namespaces/{self.pod['metadata']['namespace']}"

    async def fetch(self, sources: Iterable[Source]) -> Sources:
        """What the Secrets and ConfigMaps hold now; None for one that does not exist."""
        return {source: await self.data(source) for source in sorted(sources)}

    async def data(self, source: Source) -> Data:
        """What one Secret or ConfigMap holds now."""
        plural = {"secret": "secrets", "configMap": "configmaps"}[source.kind]
        found = await get_if_there(self.api, f"{self._namespace}/{plural}/{source.name}")
        return None if found is None else decoded(source.kind, found)

    async def claimed_folder(self, claim: str, *, ephemeral: bool) -> Path:
        """The local folder of the volume that a claim is bound to. Raises MountError while it is not."""
        found = await get_if_there(self.api, f"{self._namespace}/persistentvolumeclaims/{claim}")
        if found is None:
            raise MountError(f'persistentvolumeclaim "{claim}" not found')
        owners = [each["uid"] for each in found["metadata"].get("ownerReferences", ())]
        if ephemeral and self.pod["metadata"]["uid"] not in owners:
            raise MountError(f"PVC {claim} was not created for pod: pod is not owner")
        volume = found["spec"].get("volumeName")
        if not volume or found.get("status", {}).get("phase") != "Bound":
            raise MountError(f'PersistentVolumeClaim "{claim}" is not bound')
        bound = await get_if_there(self.api, f"/api/v1/persistentvolumes/{volume}")
        return _local_folder(volume, bound)

    async def token(self, projection: JSON) -> str:
        """A token of the pod's ServiceAccount, bound to the pod. Raises MountError."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        bound_to = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        request: JSON = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [projection["audience"]] if projection.get("audience") else [],
                "expirationSeconds": projection.get("expirationSeconds", 3600),
                "boundObjectRef": bound_to,
            },
        }
        path = f"{self._namespace}/serviceaccounts/{spec['serviceAccountName']}/token"
        try:
            answer = await persist("TokenRequest", lambda: self.api.create(path, request))
        except ApiRefused as error:
            raise MountError(f"failed to fetch token: {error}") from error
        return str(answer["status"]["token"])


def decoded(kind: str, found: JSON) -> dict[str, bytes]:
    """The bytes in a Secret or ConfigMap."""
    data = found.get("data") or {}
    if kind == "secret":
        return {key: base64.b64decode(value) for key, value in data.items()}
    binary = found.get("binaryData") or {}
    return {key: value.encode() for key, value in data.items()} | {
        key: base64.b64decode(value) for key, value in binary.items()
    }


def _local_folder(name: str, volume: JSON | None) -> Path:
    if volume is None:
        raise MountError(f'persistentvolume "{name}" not found')
    path = (volume["spec"].get("local") or volume["spec"].get("hostPath") or {}).get("path")
    if path is None:
        raise MountError(
            f"persistentvolume {name} is neither local nor hostPath, the process node has no other"
        )
    folder = Path(path)
    if not folder.is_dir():
        raise MountError(f'path "{path}" does not exist')
    return folder
