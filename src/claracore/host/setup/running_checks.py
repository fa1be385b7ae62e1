"""What is wrong with a ClaraCore that runs, and what is there to do about it?

What only the running server knows; what anybody can see is in `doctor`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from claracore.core.ports.listen import Listen
from claracore.errors import ClaraCoreError
from claracore.host.setup.check import Check
from claracore.host.sockets.ports import PortKeeper


def running_checks(
    keeper: PortKeeper, listen: Listen, failures: Mapping[str, ClaraCoreError], *, activity_lost: bool
) -> Iterator[Check]:
    """Return checks of ports, models and activity; `failures` are why models last failed, by id.

    `activity_lost`: there is a place for the activity's file, and it could not be opened.
    """
    for port, why in sorted(keeper.leases.blocked.items()):
        yield Check("ports", ok=False, message=f"port {port}: {why}", way_out=f"claracore ports why {port}")
    if not keeper.leases.blocked:
        planned = len({*keeper.plan.assignment.values(), *keeper.plan.fixed.values()})
        yield Check("ports", ok=True, message=f"{listen} is ours, and nobody else has one of {planned} for models")
    for model_id, failure in sorted(failures.items()):
        way_out = f"its last lines: claracore logs {model_id}"
        yield Check("models", ok=False, message=failure.message.partition("\n")[0], way_out=way_out)
    if activity_lost:
        message = "activity is kept in memory only: its file could not be opened, the log says why"
        yield Check("activity", ok=False, message=message, way_out="free the disk or correct store.path; start again")
