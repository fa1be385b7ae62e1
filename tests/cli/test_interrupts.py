"""What comes of signals while another handler is put in place?"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

CHANGING = """
import signal, sys, threading
from claracore.cli.interrupts import give_lost_again
if sys.argv[1] == "given again":
    give_lost_again()
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # the other thread has them, at any moment of this one
from _signal import signal as put  # without the words of an enum around it
ours, ignored, number = lambda *_: None, int(signal.SIG_IGN), int(signal.SIGTERM)
put(number, ours)
print("ready", flush=True)
for _ in range(150_000):
    put(number, ours)
    put(number, ignored)
"""
"""Takes a handler away again and again; what comes of a signal meanwhile is said on stderr, if at all."""

LOSING = """
import signal
from claracore.cli.interrupts import give_lost_again
give_lost_again()
signal.signal(signal.SIGTERM, {handler})
class Raising:
    def __del__(self):
        raise {error}
Raising()
"""
RACE = 'OSError("Signal 15 ignored due to race condition")'


def changing(how: str) -> tuple[int, str]:
    """Run `CHANGING` under signals without pause; return how it ended and what it said."""
    with subprocess.Popen(
        [sys.executable, "-c", CHANGING, how], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
        return process.returncode, process.stdout.read()


def losing(handler: str, error: str) -> subprocess.CompletedProcess[str]:
    """Have Python say an error that nobody can catch."""
    return subprocess.run(
        [sys.executable, "-c", LOSING.format(handler=handler, error=error)], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process there")
def test_a_signal_that_comes_while_handlers_change_is_no_traceback() -> None:
    assert any("race condition" in changing("as Python does it")[1] for _ in range(20)), "else this says nothing"
    assert changing("given again") == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to be given")
def test_a_lost_signal_is_for_whatever_is_in_place_then() -> None:
    assert losing("signal.SIG_DFL", RACE).returncode == -signal.SIGTERM
    assert losing("signal.SIG_IGN", RACE).returncode == 0
    heard = losing("lambda *_: print('heard')", RACE)
    assert (heard.returncode, heard.stdout, heard.stderr) == (0, "heard\n", "")


def test_other_errors_that_nobody_can_catch_are_said_as_ever() -> None:
    said = losing("signal.SIG_DFL", 'ValueError("in a finalizer")')
    assert (said.returncode, "in a finalizer" in said.stderr) == (0, True)
