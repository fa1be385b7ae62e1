from __future__ import annotations

import pytest

from claracore.errors import NotReadyInTime
from claracore.scheduler.events import RefuseReason
from claracore.supervisor.refusals import Circumstances, refusal

HERE = Circumstances("qwen", frozenset({"qwen", "phi"}), 7, 7, 12.3, "'phi' (pinned)", None)

EXPECTED = {
    RefuseReason.QUEUE_FULL: (503, "7 requests already wait"),
    RefuseReason.TIMED_OUT: (504, "within 12 s"),
    RefuseReason.FAILED: (502, "did not start"),
    RefuseReason.UNLOADED: (503, "unloaded"),
    RefuseReason.REMOVED: (404, "not known"),
    RefuseReason.PINNED: (409, "'phi' (pinned)"),
    RefuseReason.SHUTDOWN: (503, "shutting down"),
}


@pytest.mark.parametrize("reason", RefuseReason)
def test_every_reason_has_a_status_and_a_sentence(reason: RefuseReason) -> None:
    error = refusal(reason, HERE)
    status, says = EXPECTED[reason]
    assert error.status == status
    assert says in error.message
    assert (error.retry_after_seconds is not None) == (status == 503)


def test_a_failure_is_told_as_it_was() -> None:
    failure = NotReadyInTime("model 'qwen' was not ready within 120 s")
    it = Circumstances("qwen", frozenset(), 0, 0, 0, "", failure)
    assert refusal(RefuseReason.FAILED, it) is failure
