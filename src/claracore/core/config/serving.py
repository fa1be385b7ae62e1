"""What may be said of a model for those who ask it: what it can do, who has habits, how many may wait?"""

from __future__ import annotations

from typing import Literal

from claracore.core.config.fields import Seconds, Section, option


class Capabilities(Section):
    """What the model can do, as told by /v1/models."""

    inputs: tuple[Literal["text", "audio", "image"], ...] = option((), "What goes in: text, audio, image.", key="in")
    outputs: tuple[Literal["text", "audio", "image"], ...] = option(
        (), "What comes out: text, audio, image.", key="out"
    )
    tools: bool = option(False, "The model calls tools.")
    reranker: bool = option(False, "The model ranks documents.")
    context: int = option(0, "Context length in tokens; 0 means unknown.", ge=0)


class Compat(Section):
    """Behaviour for clients with special habits."""

    ignore_websockets: bool = option(
        False,
        "WebSockets do not start the model (they are answered with 409 until it runs), and neither count for its limit "
        "nor keep it loaded.",
        key="ignoreWebsockets",
    )


class Queue(Section):
    """How many requests may wait for the model, and how long."""

    limit: int = option(256, "Requests that may wait; one more is answered with 503.", ge=0)
    timeout_seconds: Seconds = option(
        600.0,
        "How long a request may wait for its turn before it is answered with 504; the model's loading does not count.",
        key="timeout",
    )
