from __future__ import annotations

from itertools import product

import pytest

from claracore.core.scheduler import lifecycle
from claracore.core.scheduler.lifecycle import Trigger
from claracore.types import ModelState


@pytest.mark.parametrize(("state", "cause"), list(product(ModelState, Trigger)))
def test_every_transition_is_in_the_table_or_refused(state: ModelState, cause: Trigger) -> None:
    if (state, cause) in lifecycle.TRANSITIONS:
        assert lifecycle.after(state, cause) is lifecycle.TRANSITIONS[state, cause]
    else:
        with pytest.raises(ValueError, match=str(state)):
            lifecycle.after(state, cause)


def test_every_state_can_be_left_and_only_an_end_leads_to_stopped() -> None:
    assert {state for state, _ in lifecycle.TRANSITIONS} == set(ModelState)
    assert {cause for (_, cause), next_ in lifecycle.TRANSITIONS.items() if next_ is ModelState.STOPPED} == {
        Trigger.ENDED
    }


def test_the_table_is_printed_whole() -> None:
    assert len(lifecycle.table().splitlines()) == len(lifecycle.TRANSITIONS) + 2
