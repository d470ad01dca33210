"""What a user can say about the pod of a Job of ours; the same for a Backup and a Restore.

Must not validate, and must not know what the pod does.
"""

from __future__ import annotations

from attrs import frozen

from tidbbackup.model.wire import NAME_LENGTH, SECONDS_LIMIT, Free, declared, passed_on


@frozen
class PodSettings:
    """Fields of a spec that are passed on to the pod, and its bounds in time."""

    serviceAccount: str = declared(
        "", "Service account of the pod. Absent: the namespace's default.", maxLength=NAME_LENGTH
    )
    resources: Free | None = passed_on("Resources of the container.")
    tolerations: Free | None = passed_on("Tolerations of the pod.", list)
    affinity: Free | None = passed_on("Affinity of the pod.")
    nodeSelector: dict[str, str] | None = declared(
        None, "Labels of the nodes the pod may run on.", maxProperties=64, itemLength=NAME_LENGTH
    )
    podLabels: dict[str, str] | None = declared(
        None,
        "Labels of all pods, such as sidecar.istio.io/inject.",
        maxProperties=64,
        itemLength=NAME_LENGTH,
    )
    priorityClassName: str = declared("", "Priority class of the pod.", maxLength=NAME_LENGTH)
    podSecurityContext: Free | None = passed_on("Security context of the pod; its fields replace ours.")
    imagePullSecrets: Free | None = passed_on("Secrets to pull the worker's image with.", list)
    env: Free | None = passed_on("More environment for the container.", list)
    additionalVolumes: Free | None = passed_on("More volumes of the pod.", list)
    additionalVolumeMounts: Free | None = passed_on("Where the container mounts them.", list)
    activeDeadlineSeconds: int | None = declared(
        None, "It fails when it runs longer than this many seconds.", minimum=1, maximum=SECONDS_LIMIT
    )
    pendingDeadlineSeconds: int = declared(
        1800,
        "It fails when its pod has not started after this many seconds.",
        minimum=1,
        maximum=SECONDS_LIMIT,
    )
    ttlSecondsAfterFinished: int | None = declared(
        None,
        "The object deletes itself this many seconds after it has finished.",
        minimum=0,
        maximum=SECONDS_LIMIT,
    )
