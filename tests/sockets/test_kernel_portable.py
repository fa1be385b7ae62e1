"""The path of macOS and Windows, run on whatever system the tests run on."""

from __future__ import annotations

import os

from claracore.host.sockets import kernel_linux, kernel_portable
from claracore.host.sockets.bound import Stage
from fakes.ports import free_port
from sockets.helpers import listening, stranger


def test_a_listener_and_its_process_are_found() -> None:
    port = free_port()
    with stranger(port) as child:
        (entry,) = kernel_portable.sockets_on(port)
        assert (entry.address, entry.stage, entry.pid) == ("127.0.0.1", Stage.LISTENING, child.pid)
        assert kernel_portable.holder_pid(entry) == child.pid
        assert kernel_portable.owned_by(child.pid, [entry]) == {entry}
        assert kernel_portable.owned_by(os.getpid(), [entry]) == set()
        assert child.pid in set(kernel_portable.family(os.getpid()))


def test_who_leads_a_group_and_as_whom_a_process_acts() -> None:
    with stranger(free_port(), group=True) as leader:
        assert kernel_portable.led_by(leader.pid) == kernel_linux.led_by(leader.pid) == []
        assert leader.pid in kernel_portable.led_by(os.getsid(0))
        before, portable, after = (
            set(kernel.led_by(os.getsid(0))) for kernel in (kernel_linux, kernel_portable, kernel_linux)
        )
        assert before & after <= portable <= before | after  # others come and go meanwhile
        assert kernel_portable.user_of(leader.pid) == kernel_linux.user_of(leader.pid) == os.geteuid()
        assert not kernel_portable.hides(leader.pid)
        assert not kernel_linux.hides(leader.pid)
    assert kernel_portable.user_of(leader.pid) is kernel_linux.user_of(leader.pid) is None
    assert not kernel_portable.hides(leader.pid)
    assert not kernel_linux.hides(leader.pid)


def test_both_families_are_found() -> None:
    port = free_port()
    with listening(port), listening(port, "::1"):
        assert {entry.address for entry in kernel_portable.sockets_on(port)} == {"127.0.0.1", "::1"}


def test_a_process_is_identified_by_its_start_and_token() -> None:
    port = free_port()
    with stranger(port, env={"CLARACORE_TOKEN": "secret"}) as child:
        began = kernel_portable.process_start(child.pid)
        assert began is not None
        assert began == kernel_portable.process_start(child.pid)
        assert kernel_portable.process_token(child.pid) == "secret"
    assert kernel_portable.process_start(child.pid) is None
    assert kernel_portable.process_token(child.pid) is None


def test_the_port_space_has_a_name() -> None:
    assert kernel_portable.network_namespace() == kernel_portable.network_namespace()
    assert kernel_portable.user_name(None) is None
    assert kernel_portable.user_name(7) == "7"
