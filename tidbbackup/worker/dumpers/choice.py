"""Which dumper a task asks for: the one place that names them."""

from __future__ import annotations

from collections.abc import Callable

from tidbbackup.model.contract.task import DumperName
from tidbbackup.worker.dumpers.dumper import Dumper
from tidbbackup.worker.dumpers.dumpling.dumper import Dumpling
from tidbbackup.worker.dumpers.mydumper.dumper import Mydumper
from tidbbackup.worker.environment import Environment


def choose(env: Environment) -> Dumper:
    """The dumper of a task.

    Raises:
        StepFailed: InvalidSpec, one of the task's options is not for it.
    """
    makers: dict[DumperName, Callable[[Environment], Dumper]] = {
        DumperName.MYDUMPER: Mydumper,
        DumperName.DUMPLING: Dumpling,
    }
    return makers[env.task.dump.dumper](env)
