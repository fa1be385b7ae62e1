"""What is said of a server that could not be ended, and for which nothing waits any more?"""

from __future__ import annotations

from claracore.host.supervisor.child import StillRuns


def given_up(error: StillRuns, cmd_stop: str, port: int) -> str:
    """Say that what is left of a server goes on, on its port (0: it has none), and what a person can do."""
    way_out = ""
    if error.refused and not cmd_stop:
        way_out = "; end it by hand, and let `cmdStop: sudo kill ${PID}` do so the next time"
    elif error.refused:
        way_out = f"; cmdStop ({cmd_stop!r}) did not end it: end it by hand"
    keeps = f", and keeps port {port} if it listens there" if port else ""
    return f"could not end {error}. It goes on running{keeps}{way_out}"
