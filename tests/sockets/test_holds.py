"""Holds of real ports; the ways of the kernel are in test_kernel_facts.py, the whole in test_ports.py."""

from __future__ import annotations

import errno
import sys

import pytest

from claracore.host.sockets.bound import Reuse
from claracore.host.sockets.holds import Holds
from fakes.ports import free_port, is_free
from sockets.helpers import stranger

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody joins a hold")


def test_a_port_is_kept_until_it_is_let_go() -> None:
    port, holds = free_port(), Holds(keeping=True)
    holds.take(port)
    holds.take(port)
    assert (port in holds, holds.ports, len(holds)) == (True, frozenset({port}), 1)
    assert not is_free(port)
    holds.let_go(port)
    assert is_free(port)
    assert not holds.sockets


def test_who_only_looks_keeps_nothing() -> None:
    port, holds = free_port(), Holds(keeping=False)
    holds.take(port)
    assert is_free(port)
    with stranger(port), pytest.raises(OSError, match=rf"Errno {errno.EADDRINUSE}"):
        holds.take(port)


def test_a_port_is_handed_over_to_a_child_that_can_join_and_let_go_for_any_other() -> None:
    one, other = free_port(), free_port()
    holds = Holds(keeping=True)
    holds.take(one)
    holds.hand_over(one, Reuse.ADDRESS)
    with stranger(one, "reuseaddr") as child:
        assert child.answer == "ok"
        holds.shut(one)
        assert one not in holds, "somebody else has it"
    holds.take(other)
    holds.hand_over(other, Reuse.NONE)
    assert is_free(other)
    holds.close()


def test_a_shut_port_is_held_and_nobody_joins_it() -> None:
    port, holds = free_port(), Holds(keeping=True)
    holds.take(port)
    holds.hand_over(port, Reuse.PORT)
    holds.shut(port)
    with stranger(port, "reuseport") as other:
        assert other.answer == str(errno.EADDRINUSE)
    assert port in holds
    holds.close()
    assert is_free(port)
