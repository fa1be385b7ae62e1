from __future__ import annotations

import pytest

from claracore.core.scheduler.events import RefuseReason
from claracore.errors import ClaraCoreError, ModelFailed, NotReadyInTime
from claracore.host.supervisor.no_room import NoRoom
from claracore.host.supervisor.program import SpawnFailed
from claracore.host.supervisor.refusals import Circumstances, refusal

NO_ROOM = NoRoom("more than there is", retry_after_seconds=30)
HERE = Circumstances("qwen", frozenset({"qwen", "phi"}), 7, 7, 12.3, "'phi' (pinned)", None, NO_ROOM)

EXPECTED = {
    RefuseReason.QUEUE_FULL: (503, "7 requests already wait"),
    RefuseReason.TIMED_OUT: (504, "within 12 s"),
    RefuseReason.FAILED: (502, "did not start"),
    RefuseReason.UNLOADED: (503, "unloaded"),
    RefuseReason.REMOVED: (404, "not known"),
    RefuseReason.PINNED: (409, "'phi' (pinned)"),
    RefuseReason.NO_ROOM: (503, "more than there is"),
    RefuseReason.SHUTDOWN: (503, "shutting down"),
}


@pytest.mark.parametrize("reason", RefuseReason)
def test_every_reason_has_a_status_and_a_sentence(reason: RefuseReason) -> None:
    error = refusal(reason, HERE)
    status, says = EXPECTED[reason]
    assert error.status == status
    assert says in error.message
    assert (error.retry_after_seconds is not None) == (status == 503 or reason is RefuseReason.FAILED)
    assert error.headers().get("x-should-retry") == ("false" if status in {502, 504} else None)


def test_a_failure_is_told_as_it_was() -> None:
    failure = NotReadyInTime("model 'qwen' was not ready within 120 s")
    it = Circumstances("qwen", frozenset(), 0, 0, 0, "", failure, NO_ROOM, retry_seconds=4.2)
    error = refusal(RefuseReason.FAILED, it)
    assert (type(error), error.envelope()) == (type(failure), failure.envelope())
    assert error.headers() == {"Retry-After": "5", "x-should-retry": "false"}


@pytest.mark.parametrize(
    "failure",
    [
        ModelFailed("qwen", "its server died", ["no memory"]),
        SpawnFailed("model 'qwen': cannot start 'x'\n  | no memory"),
    ],
)
def test_who_comes_after_a_failure_is_told_when_that_was_and_the_way_out(failure: ClaraCoreError) -> None:
    it = Circumstances("qwen", frozenset(), 0, 0, 0, "", failure, NO_ROOM, tried_seconds_ago=3.1, retry_seconds=1.9)
    error = refusal(RefuseReason.FAILED, it)
    first, _, rest = error.message.partition("\n")
    assert first.endswith(" (last tried 3 s ago; `claracore load qwen` tries again at once)")
    assert rest == "  | no memory"
    assert str(error) == error.message
    assert (error.status, error.code, error.retry_after_seconds) == (failure.status, failure.code, 2)
    assert "last tried" not in failure.message
