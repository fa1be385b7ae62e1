"""Which errors come of asking the hub?"""

from __future__ import annotations

from claracore.errors import ClaraCoreError, Forbidden, NotFound


class HubUnreachable(ClaraCoreError):
    """The hub does not answer, or not with what it should; 502."""

    status = 502
    code = "hub_unreachable"
    cause = "The hub does not answer, or not with what it should."
    way_out = "Look at network and proxy (`HTTPS_PROXY`, `HF_ENDPOINT`); a download goes on where it stopped."


class TransientFailure(HubUnreachable):
    """A failure that may be over in a moment; `retry_after_seconds` is how long the hub wants to be left alone."""


class Gated(Forbidden):
    """The hub wants to know who we are, and that they may; 403 with what to do."""

    code = "gated_model"
    cause = "The hub gives this model only to those who have agreed to its terms."
    way_out = "Agree on the model's page, then give ClaraCore a token: `HF_TOKEN`, or Setup in the interface."


class NotOnHub(NotFound):
    """No such repository, revision or file; 404 with near names."""

    code = "not_on_hub"
    cause = "The hub has no such repository, revision or file."
    way_out = "Compare the name with the near ones in the message; it is `ORG/REPO` or `ORG/REPO:QUANTIZATION`."
