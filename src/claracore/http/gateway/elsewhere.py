"""When may a client's request go to another machine, and how does it get there?

Only before a byte of its answer has come, once to each place, and while its whole body is here. So a machine that dies,
refuses, or is lost costs a client time and nothing else, as long as another one has the model.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from typing import TYPE_CHECKING

from claracore.core.cluster.journey import Journey
from claracore.errors import ClaraCoreError, ModelNotFound, ShuttingDown, UpstreamFailed
from claracore.http.gateway.inflight import ANSWERING, OVER
from claracore.http.gateway.loops import FIELD, was_sent_on
from claracore.http.gateway.request import ModelRequest

if TYPE_CHECKING:
    from claracore.http.gateway.admission import Admission
    from claracore.http.gateway.sending import RequestWriter
    from claracore.http.gateway.targets import Target
    from claracore.http.wire.head import ResponseHead

logger = logging.getLogger("claracore.gateway")

MOVED_ON_STATUS = (502, 503)
"""What a machine answers that cannot serve a model now: another one may."""


NOT_THERE = b"x-claracore-error"
"""Of an answer 404: it is the machine's own, and not that of the model's server (`ModelNotFound`)."""


class MachineRefusesKey(UpstreamFailed):
    """Another machine does not take our key; 502: the key that the client sent has nothing to do with it."""

    code = "machine_refuses_key"
    cause = "The machine that has the model does not take the key that ClaraCore has for it."
    way_out = (
        "A machine that has joined has left, or has joined another one: `claracore nodes invite` lets it join anew, "
        "`claracore nodes forget NAME` ends it. For any other, correct `apiKey` of its entry in `peers`."
    )
    should_retry = False


class MovableRequest(ModelRequest):
    """A request that moves on to another machine when one fails."""

    # What most requests never change stands here, not in the constructor.
    admission: Admission
    _request: RequestWriter
    _journey: Journey | None = None
    """Where it has been; None before it had to move."""

    def _is_served(self, status: int) -> None:
        """Take that an answer begins that is no error: the model is loaded there."""
        target, machines = self.target, self.relay.machines
        if target is None or not target.node or machines is None:
            return
        if status < 300 and self.admission.route is not None:
            machines.cluster.answered(target.model_id, is_stream=self.record.stream)

    def turned_down(self, head: ResponseHead) -> bool:
        """Go elsewhere, or end, where an answer says that the machine cannot serve the model, or not us.

        Return whether it says so. One that is no error says that the model is loaded there.
        """
        target, status = self.target, head.status
        if status < 400:
            self._is_served(status)
            return False
        if target is None:
            return False
        # With our key, and not the client's own. 403 of a service on the internet is about what was asked as well.
        if target.own_lines and (status == 401 or (status == 403 and target.node)):
            what = f"does not take our key ({status})"
            if not self.moves_on(what):
                self.drop_upstream()
                who = f"machine {target.node!r}" if target.node else "the peer"
                self.fail(MachineRefusesKey(f"{who}, which has model {target.model_id!r}, {what}"))
            return True
        if status == 404 and target.node and NOT_THERE in head.names:
            if not self.moves_on("it does not have the model"):
                self.drop_upstream()
                self.fail(ModelNotFound(target.model_id, (), f"machine {target.node!r} does not have it any more"))
            return True
        return status in MOVED_ON_STATUS and bool(target.node) and self.moves_on(f"it answered {status}")

    @abstractmethod
    def go(self, target: Target) -> None:
        """Go to a model. Raises `ClaraCoreError`."""

    def next_place(self) -> Target | None:
        """Return where it may go instead of where it is now; None when it ends there."""
        target = self.target
        if target is None or not target.moves or not self._request.may_move:
            return None
        if self.phase is ANSWERING or self.phase is OVER or self.record.first_byte_at is not None:
            return None
        if was_sent_on(self.admission.head.noted.get(FIELD, b"")):
            return None  # whoever has sent it on knows more places
        journey = self._journey
        if journey is None:
            journey = self._journey = Journey()
            journey.been.append(target.model_id)
        others = self.relay.resolver.elsewhere(target, self.admission.grant)
        chosen = journey.next([each.model_id for each in others])
        return next((each for each in others if each.model_id == chosen), None)

    def moves_on(self, why: str) -> bool:
        """Go to another machine, if there is one; return whether it does."""
        other = self.next_place()
        if other is None:
            return False
        model, id_ = self.record.model, self.record.request_id.decode()
        logger.info("model %s: %s; request %s moves on to %s", model, why, id_, other.model_id)
        self.leave_place()
        self.target = other
        try:
            self._request.settle_again(other)
            self.go(other)
        except ClaraCoreError as error:
            self.fail(error)
        return True

    def failed(self, what: str) -> None:
        """Go to another machine, or end with an error that says what the model server did."""
        if not self.moves_on(what):
            super().failed(what)

    def refuse(self, error: ClaraCoreError) -> None:
        """Take in that the supervisor has said no: go to another machine, or give up."""
        target = self.target
        if target is None or not target.moves or isinstance(error, ModelNotFound | ShuttingDown):
            super().refuse(error)
            return
        # It may be refused while it arrives, and cannot arrive elsewhere before that is over.
        self._was_refused = True
        asyncio.get_running_loop().call_soon(self._refused, error)

    def _refused(self, error: ClaraCoreError) -> None:
        if self.phase is not OVER and not self.moves_on(error.message):
            self.fail(error)
