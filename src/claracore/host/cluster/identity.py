"""Who is this ClaraCore among others?"""

from __future__ import annotations

import secrets
from typing import Final

IDENTITY: Final = secrets.token_hex(8)
"""Names this run: in `Via` of requests to peers, and in what a node says of itself. Told to peers, so no secret."""
