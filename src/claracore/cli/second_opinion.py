"""What does llama.cpp itself say about a plan, for the verbs that plan?"""

from __future__ import annotations

from pathlib import Path

from claracore.core.fit.case import Case
from claracore.core.fit.machine import Hardware
from claracore.core.fit.opinion import SecondOpinion
from claracore.core.fit.plan import Placement
from claracore.host.engines.find import Engine
from claracore.host.setup.opinions import Planned, SecondOpinions
from claracore.host.state import default_state_dir

SECONDS = 4.0
"""How long it is asked about plans, of all models together."""


def opinions(engine: Engine | None, seconds: float = SECONDS) -> SecondOpinions:
    """Return who asks for so many seconds; with 0 what was answered before is used."""
    return SecondOpinions(engine, default_state_dir(), seconds=seconds)


def asked(engine: Engine | None, path: Path, case: Case, placement: Placement, hardware: Hardware) -> SecondOpinion:
    """Return the plan of one model with what llama.cpp itself says of it."""
    return opinions(engine).one(Planned(path, case, placement, hardware))
