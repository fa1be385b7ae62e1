"""A first guess from the size of files."""

from __future__ import annotations

from claracore.core.fit.budget import Budget
from claracore.core.fit.size import SizeVerdict, by_size


def test_a_tenth_is_allowed_for_what_is_not_weights() -> None:
    room = Budget((1100, 1100), 1100, (False, False))
    assert by_size(2000, room) is SizeVerdict.GPU
    assert by_size(2001, room) is SizeVerdict.MEMORY
    assert by_size(3001, room) is SizeVerdict.NOWHERE
    assert by_size(1, Budget((), 1100, ())) is SizeVerdict.MEMORY
