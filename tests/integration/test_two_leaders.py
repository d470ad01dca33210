"""Two controllers that both believe they lead: the tests of one hold for them, and so do the invariants.

Names are locks, updates have resourceVersions, deletions have uids; so each write is done once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.lab import Lab, start_controller
from tests.integration.test_deletion import (
    test_a_complete_backup,
    test_a_pending_backup_goes_at_once,
    test_a_running_backup_is_stopped_and_leaves_nothing,
    test_deleted_and_made_again_at_once_it_is_another,
)
from tests.integration.test_finished import test_jobs_pods_and_volumes_go_once_the_result_is_in_the_status
from tests.integration.test_names_taken import test_a_job_of_a_former_backup_of_this_name_makes_room
from tests.integration.test_schedule import test_retention_by_number_keeps_the_newest

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("both_lead")]

__all__ = [
    "test_a_complete_backup",
    "test_a_job_of_a_former_backup_of_this_name_makes_room",
    "test_a_pending_backup_goes_at_once",
    "test_a_running_backup_is_stopped_and_leaves_nothing",
    "test_deleted_and_made_again_at_once_it_is_another",
    "test_jobs_pods_and_volumes_go_once_the_result_is_in_the_status",
    "test_retention_by_number_keeps_the_newest",
]
"""Run here again."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def both_lead(lab: Lab) -> AsyncIterator[None]:
    """The lab's controller and another one; neither has a Lease."""
    second = await start_controller(lab.plane, name="second-leader")
    yield
    assert second.child.running
    assert "Traceback" not in second.log()
    await second.stop()
