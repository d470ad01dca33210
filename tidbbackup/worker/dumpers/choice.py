"""Which dumper a task asks for: the one place that names them."""

from __future__ import annotations

from tidbbackup.worker.dumpers.dumper import Dumper
from tidbbackup.worker.dumpers.mydumper.dumper import Mydumper
from tidbbackup.worker.environment import Environment


def choose(env: Environment) -> Dumper:
    """The dumper of a task.

    Raises:
        StepFailed: InvalidSpec, one of the task's options is not for it.
    """
    return Mydumper(env)
