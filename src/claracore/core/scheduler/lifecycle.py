"""Which states does a model's server go through?

The laws of this file: a transition that is not in the table is a bug, not an event; `STOPPING` is entered the moment a
stop is ordered or the server dies; only `ENDED` leads to `STOPPED`, so a new start can never overlap an old process.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from claracore.types import ModelState


class Trigger(StrEnum):
    """What moves a model from one state to the next."""

    START_ORDERED = "start ordered"
    BECAME_READY = "became ready"
    STOP_ORDERED = "stop ordered"
    DIED = "died"
    ENDED = "ended"
    SLEEP_ORDERED = "sleep ordered"
    FELL_ASLEEP = "fell asleep"
    WAKE_ORDERED = "wake ordered"


STOPPED, STARTING, READY, STOPPING = ModelState.STOPPED, ModelState.STARTING, ModelState.READY, ModelState.STOPPING

TRANSITIONS: Final = {
    (STOPPED, Trigger.START_ORDERED): STARTING,
    (STARTING, Trigger.BECAME_READY): READY,
    (STARTING, Trigger.STOP_ORDERED): STOPPING,
    (STARTING, Trigger.ENDED): STOPPED,
    (READY, Trigger.STOP_ORDERED): STOPPING,
    # It serves nobody any more, and what it had started may take a while to go.
    (READY, Trigger.DIED): STOPPING,
    (READY, Trigger.ENDED): STOPPED,
    # The health check may succeed in the very moment in which the stop is ordered.
    (STOPPING, Trigger.BECAME_READY): STOPPING,
    (STOPPING, Trigger.ENDED): STOPPED,
    # A server that sleeps is ready for whoever looks from outside: a request wakes it (`slot.Nap`).
    (READY, Trigger.SLEEP_ORDERED): STOPPING,
    (STOPPING, Trigger.FELL_ASLEEP): READY,
    (READY, Trigger.WAKE_ORDERED): STARTING,
    # A person or the end of ClaraCore does not wait until it sleeps.
    (STOPPING, Trigger.STOP_ORDERED): STOPPING,
}


def after(state: ModelState, trigger: Trigger) -> ModelState:
    """Return the state that follows; raises `ValueError` for a transition that must never be asked for."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise ValueError(f"a model that is {state} cannot get the cause {trigger!r}") from None


def table() -> str:
    """Return the transitions as a Markdown table, for ARCHITECTURE.md."""
    rows = [f"| {state} | {trigger} | {following} |" for (state, trigger), following in TRANSITIONS.items()]
    return "\n".join(["| state | cause | next |", "|---|---|---|", *rows])
