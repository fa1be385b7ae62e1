"""Which errors come of asking the hub?"""

from __future__ import annotations

from claracore.errors import ClaraCoreError, Forbidden, NotFound


class HubUnreachable(ClaraCoreError):
    """The hub does not answer, or not with what it should; 502."""

    status = 502
    code = "hub_unreachable"


class TransientFailure(HubUnreachable):
    """A failure that may be over in a moment; `retry_after_seconds` is how long the hub wants to be left alone."""


class Gated(Forbidden):
    """The hub wants to know who we are, and that they may; 403 with what to do."""

    code = "gated_model"


class NotOnHub(NotFound):
    """No such repository, revision or file; 404 with near names."""

    code = "not_on_hub"
