"""Which images the node has. Nothing is ever pulled: an image is a name, and maybe an entrypoint. Pure."""

from collections.abc import Sequence

from attrs import define, field, frozen

ABSENT_REGISTRY = "missing.invalid/"
"""Images of this registry cannot be pulled."""


@frozen
class PullFailure:
    """Why an image is not there: the reason of the waiting state and the kubelet's words."""

    reason: str
    message: str
    back_off_reason: str
    back_off_message: str


@define
class Images:
    """The images the node has been given; others are there too, unless the pull policy is Never."""

    _entrypoints: dict[str, tuple[str, ...]] = field(factory=dict)

    def add(self, name: str, entrypoint: Sequence[str] = ()) -> None:
        """From now on the image is there under any pull policy."""
        self._entrypoints[name] = tuple(entrypoint)

    def entrypoint(self, name: str) -> tuple[str, ...]:
        """What the image runs when the container names no command."""
        return self._entrypoints.get(name, ())

    def failure(self, name: str, pull_policy: str) -> PullFailure | None:
        """Why a container of this image cannot be made; None: it can."""
        if name in self._entrypoints:
            return None
        if pull_policy == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            return PullFailure("ErrImageNeverPull", message, "ErrImageNeverPull", message)
        if not name.startswith(ABSENT_REGISTRY):
            return None
        host = ABSENT_REGISTRY.rstrip("/")
        cause = f'failed to pull and unpack image "{name}": dial tcp: lookup {host}: no such host'
        back_off = f'Back-off pulling image "{name}": ErrImagePull: {cause}'
        return PullFailure("ErrImagePull", cause, "ImagePullBackOff", back_off)


def pull_delay(failures: int) -> float:
    """Seconds until the next attempt after so many failures: the kubelet's doubling, ten times as fast."""
    return float(min(30, 2 ** max(0, failures - 1)))
