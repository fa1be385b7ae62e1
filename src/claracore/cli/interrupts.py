"""What does Ctrl-C do, and the one that comes right after it?

Never a traceback: the first interrupts what a verb does (KeyboardInterrupt, exit code 130), the next ends the process
by SIGINT itself, whatever it is at. Until a verb has begun, the first does that already. Only what happens before any
line of ours runs is Python's own affair. What the server does once it runs: `claracore.app`.

A signal that comes while another handler is put in place may find neither the old one nor a new one in Python; then it
is given again, and whatever is in place by then has it.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

LOST = "ignored due to race condition"
"""How CPython ends what it says of such a signal (`Signal 2 ...`): `_PyErr_CheckSignalsTstate` in signalmodule.c."""


def give_lost_again() -> None:
    """Have signals given again that come while another handler is put in place: Python writes a traceback instead."""
    sys.unraisablehook = _given_again


def end_at_once() -> None:
    """Let SIGINT end the process without a word, unless whoever started us wants it ignored."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt_once() -> None:
    """Let the next SIGINT raise KeyboardInterrupt, and those after it end the process."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def end_by(number: signal.Signals) -> NoReturn:
    """End as a process that this signal has killed: who started us sees that."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    raise SystemExit(128 + number)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _given_again(unraisable: UnraisableHookArgs) -> None:
    error = unraisable.exc_value
    if isinstance(error, OSError) and str(error).endswith(LOST):
        signal.raise_signal(int(str(error).split()[1]))
    else:
        sys.__unraisablehook__(unraisable)
