"""What happened to one inference request?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from claracore.host.activity.answer_ends import AnswerEnds
from claracore.host.activity.captures import Capture
from claracore.host.activity.tokens import Tokens

LEAST_EVENTS: Final = 3


class Record:
    """What happened to one inference request; times in seconds of the event loop's clock, None when never reached.

    Filled while the request runs (the in-flight list shows it), handed to the observer when it is over.
    """

    # What most requests never change stands here, not in the constructor.
    ticket: int | None = None
    """Its number with the supervisor, as long as that knows of it."""
    key: str = ""
    """The name of the key that the client presented; empty when none is needed."""
    stream: bool = False
    selector: str = ""
    """The selector that chose the model; empty when none did."""
    node: str = ""
    """The other machine to which it has gone; empty for this one."""
    priority: int | None = None
    """The model's place in the queue; None when it was never known."""
    header_lines: Sequence[bytes] = ()
    """Of the request, as sent, mostly without the line of its id; secrets are in them."""
    id_is_chosen: bool = False
    """Whether the client has chosen `request_id`."""
    served_at: float | None = None
    """When the model was there for it; `served_at - arrived_at` is queueing plus loading."""
    waited_for_load: bool = False
    """Whether the model was not ready when the request came."""
    first_byte_at: float | None = None
    """When the first byte of the answer's body came."""
    first_token_at: float | None = None
    """When the first piece of a stream came that has something the model has written."""
    events: int = 0
    """Of the stream, from the first on that has something the model has written: nearly always one for each token."""
    finished_at: float | None = None
    status: int = 0
    """What the client got; 0 when it left before anything was sent."""
    content_type: str = ""
    request_bytes: int = 0
    response_bytes: int = 0
    error: str = ""
    client_left: bool = False
    answer_ends: AnswerEnds | None = None
    """The two ends of the answer, as far as it has come."""
    capture: Capture | None = None
    """Both bodies, when they are kept."""

    def __init__(self, method: str, path: str, client: str, arrived_at: float, request_id: bytes = b"") -> None:
        self.model = ""
        """Model id; empty when the request was refused before its model was known."""
        self.requested = ""
        """The name in the request, which may be an alias."""
        self.method = method
        self.path = path
        self.client = client
        self.arrived_at = arrived_at
        self.request_id = request_id
        """As the client, we and other machines know it (`X-Request-Id`)."""

    def pace(self, now: float) -> float | None:
        """Return how many tokens a second have come since the first, at `now`; None while there are too few to say."""
        if self.first_token_at is None or self.events < LEAST_EVENTS or now <= self.first_token_at:
            return None
        return round((self.events - 1) / (now - self.first_token_at), 1)

    def tokens(self) -> Tokens:
        """Read what the answer says of its tokens (2 us, more for a stream): not while a client waits."""
        ends = self.answer_ends
        if ends is None:
            return Tokens()
        found = ends.found()
        if found.completion is None and self.events:  # it was cut off or stopped, or its server does not say
            found.completion, found.counted = max(1, self.events - ends.idle_events()), True
        return found
