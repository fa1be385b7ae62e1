"""Would conversations of a model with sliding windows survive a swap if its windows were kept whole?

An engine that saves a slot without the copies of its windows (`--ctx-checkpoints`) reads all of the conversation again
after it was brought back: what came before the window is not there. With `--swa-full` nothing is ever thrown away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from claracore.core.fit.cache import state_bytes
from claracore.core.fit.case import EMBEDDERS
from claracore.core.fit.flags import SAVED_CHECKPOINTS

if TYPE_CHECKING:
    from claracore.core.fit.case import Case
    from claracore.core.fit.settings import Settings


def whole_windows(case: Case, settings: Settings) -> Settings | None:
    """Return these settings with whole windows, if its conversations survive swaps by that alone, and if it fits.

    Nothing is saved of a model with a projector, and a recurrent state cannot be kept whole.
    """
    facts, known = case.facts, case.known_flags
    saves = known.knows("--slot-save-path") and known.knows("--swa-full") and not known.knows(SAVED_CHECKPOINTS)
    lost = facts.kind not in EMBEDDERS and facts.sliding_window is not None and any(facts.sliding)
    if not saves or not lost or settings.full_window or case.companions.projector is not None:
        return None
    whole = replace(settings, full_window=True, checkpoints=None, prompt_cache_mib=None)
    return whole if not any(state_bytes(facts, whole)) and case.fits(whole) else None
