"""Sets up the volumes of one pod as local folders."""

from pathlib import Path

from attrs import frozen

from tests.cluster.api import JSON

from .downward import PodFacts, UnsupportedField, field_value, resource_value
from .environment import Mounts, Source, expand
from .files import DEFAULT_MODE, File, MountError, source_files, write_files
from .sources import PodSources


@frozen(eq=False)
class Volumes:
    """The volumes of one pod; those that are its own live in `folder` and go with it."""

    folder: Path
    sources: PodSources
    facts: PodFacts

    async def set_up(self, volume: JSON) -> Path:
        """The folder of a volume, with all that belongs into it. Raises MountError."""
        if "emptyDir" in volume:
            return self._own_folder(volume)
        if "ephemeral" in volume:
            claim = f"{self.facts.name}-{volume['name']}"
            return await self.sources.claimed_folder(claim, ephemeral=True)
        if claim_source := volume.get("persistentVolumeClaim"):
            return await self.sources.claimed_folder(claim_source["claimName"], ephemeral=False)
        write_files(self._own_folder(volume), await self._files(volume))
        return self._own_folder(volume)

    def _own_folder(self, volume: JSON) -> Path:
        # Medium Memory is a folder too: what memory would hold must not outlive a crash of the run, and
        # only the run folder is removed then.
        folder = self.folder / str(volume["name"])
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        return folder

    async def _files(self, volume: JSON) -> dict[str, File]:
        for kind, name_field in (("secret", "secretName"), ("configMap", "name")):
            if spec := volume.get(kind):
                mode = spec.get("defaultMode", DEFAULT_MODE)
                return await self._of_source(Source(kind, spec[name_field]), spec, mode)
        if spec := volume.get("downwardAPI"):
            return self._downward(spec, spec.get("defaultMode", DEFAULT_MODE))
        if spec := volume.get("projected"):
            return await self._projected(spec, spec.get("defaultMode", DEFAULT_MODE))
        kinds = ", ".join(sorted(set(volume) - {"name"}))
        raise MountError(f"the process node has no volumes of this kind: {kinds}")

    async def _of_source(self, source: Source, spec: JSON, mode: int) -> dict[str, File]:
        return source_files(source, await self.sources.data(source), spec, mode)

    async def _projected(self, spec: JSON, mode: int) -> dict[str, File]:
        files: dict[str, File] = {}
        for each in spec.get("sources") or ():
            if token := each.get("serviceAccountToken"):
                content = (await self.sources.token(token)).encode()
                files[token["path"]] = File(content, 0o600)
            elif downward := each.get("downwardAPI"):
                files |= self._downward(downward, mode)
            else:
                kind = next((kind for kind in ("secret", "configMap") if kind in each), None)
                if kind is None:
                    raise MountError(f"the process node cannot project this: {', '.join(each)}")
                files |= await self._of_source(Source(kind, each[kind]["name"]), each[kind], mode)
        return files

    def _downward(self, spec: JSON, mode: int) -> dict[str, File]:
        files: dict[str, File] = {}
        for item in spec.get("items") or ():
            try:
                if field := item.get("fieldRef"):
                    text = field_value(self.facts, field["fieldPath"])
                else:
                    text = resource_value(self.facts, item["resourceFieldRef"], "")
            except UnsupportedField as error:
                raise MountError(str(error)) from error
            files[item["path"]] = File(text.encode(), item.get("mode", mode))
        return files


def mounts(container: JSON, volumes: dict[str, Path], variables: dict[str, str]) -> Mounts:
    """Where a container's mount paths really are; a subPath that is missing is made, as a folder."""
    paths: dict[str, Path] = {}
    for mount in container.get("volumeMounts", ()):
        inside = mount.get("subPath") or expand(mount.get("subPathExpr") or "", variables)
        path = volumes[mount["name"]] / inside
        if not path.exists():
            path.mkdir(parents=True)
        paths[mount["mountPath"]] = path
    return Mounts(paths)
