"""Which id does a request get that comes without one?

64 random bits: short enough to be read out, and nobody comes upon another's by trying. Drawn many at once, since asking
the kernel takes longer than all the rest that is done with an id.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BYTES: Final = 8
_DRAWN: Final = 256


def _ids() -> Iterator[bytes]:
    digits = 2 * _BYTES
    while True:
        drawn = secrets.token_hex(_BYTES * _DRAWN).encode()
        for start in range(0, len(drawn), digits):
            yield drawn[start : start + digits]


new_id: Final[Callable[[], bytes]] = _ids().__next__
"""Return a new id: 16 hexadecimal digits."""
