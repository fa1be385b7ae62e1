from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from claracore.host.sockets import kernel_linux, owner, sock_diag
from claracore.host.sockets.bound import BoundSocket, Reuse, Stage
from claracore.host.sockets.kernel import holder_pid, process_start, process_token, sockets_on, user_name
from claracore.host.sockets.kinship import left_by
from claracore.host.sockets.owner import Grounds, Ownership, binds_with, listeners_on, owner_of, verify
from fakes.ports import free_port
from sockets.helpers import LISTENER, leave_in_time_wait, listening, readline, start, stranger

NOBODY = 65534


def test_a_port_belongs_to_the_process_that_listens_on_it() -> None:
    port = free_port()
    with stranger(port) as child, stranger(free_port()) as other:
        assert verify(port, child.pid).ours
        assert verify(port, os.getpid()).ours  # the child is our descendant
        assert not verify(port, other.pid).ours


def test_a_grandchild_counts() -> None:
    port = free_port()
    script = f"'{sys.executable}' -I -S -c '{LISTENER}' 127.0.0.1 {port}; true"
    shell = start(["sh", "-c", script])
    assert readline(shell) == "ok"
    assert verify(port, shell.pid).ours
    assert not kernel_linux.owned_by(shell.pid, sockets_on(port))
    shell.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")
def test_a_daemon_that_stays_in_the_group_counts_and_one_that_leaves_it_does_not() -> None:
    for leave, ours in (("", True), ("setsid", False)):
        port = free_port()
        listener = f"{leave} '{sys.executable}' -I -S -c '{LISTENER}' 127.0.0.1 {port} <&3"
        shell = start(["sh", "-c", f"({listener} & echo $! >&2) 3<&0; cat"], group=True)
        assert readline(shell) == "ok"
        (daemon,) = listeners_on(port, "127.0.0.1")
        assert not left_by([holder_pid(daemon) or 0], frozenset({daemon}))
        assert not kernel_linux.owned_by(shell.pid, [daemon])
        assert holder_pid(daemon) not in set(kernel_linux.family(shell.pid))
        assert verify(port, shell.pid).ours == ours
        shell.communicate()


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    """Be another user for a block: what root may see of others is hidden then."""
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0, reason="only root can be somebody else for a while"
)


@as_root
@pytest.mark.parametrize("we", [61234, NOBODY])  # a process that has changed its user is hidden from that one, too
def test_a_hidden_listener_is_ours_only_if_a_hidden_process_of_ours_has_its_user(we: int) -> None:
    port = free_port()
    with stranger(port, "nobody") as child, stranger(free_port()) as other:
        with acting_as(we):
            refused, verdict = verify(port, other.pid), verify(port, child.pid)
        assert not refused.ours
        assert "write `owner: any`" in refused.note
        assert (verdict.grounds, verdict.listeners) == (Grounds.USER, listeners_on(port, "127.0.0.1"))
        assert "as whose user a process of the command runs" in verdict.note


@as_root
def test_a_listener_that_somebody_is_seen_to_have_is_no_hidden_processs() -> None:
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    if python is None:
        pytest.skip("there is no Python that other users may run")
    port = free_port()
    with stranger(free_port(), "nobody") as child:
        other = subprocess.Popen(
            [python, "-I", "-S", "-c", LISTENER, "127.0.0.1", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        )
        assert readline(other) == "ok"
        with acting_as(NOBODY):
            assert kernel_linux.hides(child.pid)
            verdict = verify(port, child.pid)
        assert not verdict.ours
        assert verdict.owner is not None
        assert verdict.owner.pid == other.pid
        other.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
@pytest.mark.parametrize(
    ("options", "reuse"),
    [
        ((), Reuse.NONE),
        (("reuseaddr",), Reuse.ADDRESS),
        (("reuseport",), Reuse.PORT),
        (("reuseaddr", "reuseport"), Reuse.ADDRESS | Reuse.PORT),
    ],
)
def test_how_a_process_bound_its_port_is_seen(options: tuple[str, ...], reuse: Reuse) -> None:
    port = free_port()
    with stranger(port, *options) as child:
        assert binds_with(port, child.pid) == reuse
        assert binds_with(port, os.getpid()) == reuse  # the child is our descendant
        assert binds_with(port, child.pid, host="::1") is None
    assert binds_with(port, os.getpid()) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_where_it_cannot_be_seen_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with stranger(port, "reuseaddr") as child:
        monkeypatch.delattr(os, "pidfd_open")  # as in some builds of Python
        assert not binds_with(port, child.pid)


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="only root can start a process of another user")
@pytest.mark.parametrize("options", [("reuseport",), ("reuseport", "reuseaddr")])
def test_what_another_user_shares_is_not_shared_with_us(options: tuple[str, ...]) -> None:
    port = free_port()
    with stranger(port, *options, "nobody") as child:
        assert binds_with(port, child.pid) == (Reuse.ADDRESS if "reuseaddr" in options else Reuse.NONE)


def test_whether_anybody_listens() -> None:
    port = free_port()
    assert not listeners_on(port, "127.0.0.1")
    with listening(port):
        assert listeners_on(port, "127.0.0.1")
    with listening(port, "::1"):
        assert listeners_on(port, "::1")
        assert not listeners_on(port, "127.0.0.1")


def test_a_free_port_belongs_to_nobody() -> None:
    port = free_port()
    assert not verify(port, os.getpid()).ours
    assert owner_of(port) is None


def test_a_silent_socket_is_no_server_but_it_has_an_owner() -> None:
    port = free_port()
    with stranger(port, "silent") as other:
        assert not verify(port, other.pid).ours
        owner = owner_of(port)
        if owner is None:
            pytest.skip("this kernel does not show bound sockets that do not listen (before 6.8)")
        assert owner.pid == other.pid
        assert not owner.listening


def test_a_stranger_of_the_same_user_that_joins_takes_the_port_away() -> None:
    port = free_port()
    with stranger(port, "reuseport") as child:
        assert verify(port, child.pid).ours
        with stranger(port, "reuseport") as other:
            assert other.answer == "ok"
            assert not verify(port, child.pid).ours


def test_only_sockets_that_answer_on_the_address_count() -> None:
    port = free_port()
    with stranger(port) as child, stranger(port, host="127.0.0.2"), stranger(port, host="::1"):
        assert verify(port, child.pid).ours
        assert not verify(port, child.pid, host="::1").ours


@pytest.mark.parametrize("options", [("dual",), ()])
def test_a_listener_on_all_ipv6_addresses_answers_ipv4_when_it_is_dual(options: tuple[str, ...]) -> None:
    port = free_port()
    with stranger(port, *options, host="::") as child:
        assert verify(port, child.pid).ours == bool(options)
        assert verify(port, child.pid, host="::1").ours


def test_the_owner_is_described() -> None:
    port = free_port()
    with stranger(port, host="0.0.0.0") as other:
        owner = owner_of(port)
        assert owner is not None
        assert (owner.pid, owner.addresses, owner.listening) == (other.pid, (f"0.0.0.0:{port}",), True)
        assert owner.name is not None
        assert owner.name.startswith("python")
        assert owner.user == user_name(os.getuid())
        assert owner.since is not None


@pytest.mark.parametrize(
    ("held", "wanted", "in_the_way"),
    [
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.2", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("::1", "127.0.0.1", False),
        ("::1", "::", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("::1", "0.0.0.0", False),
    ],
)
def test_who_is_in_the_way_of_which_address(held: str, wanted: str, in_the_way: bool) -> None:  # noqa: FBT001
    port = free_port()
    with listening(port, held):
        assert (owner_of(port, host=wanted) is not None) == in_the_way


def test_one_owner_can_be_left_out() -> None:
    port = free_port()
    with listening(port):
        assert owner_of(port, ignore_pid=os.getpid()) is None


def test_time_wait_has_no_owner_but_is_seen() -> None:
    port = free_port()
    leave_in_time_wait(port)
    assert owner_of(port) is None
    assert {entry.stage for entry in sockets_on(port, silent=True)} == {Stage.TIME_WAIT}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another user")
def test_a_process_of_another_user_is_named_as_far_as_rights_allow() -> None:
    port = free_port()
    with stranger(port, "nobody") as other:
        owner = owner_of(port)
        assert owner is not None
        assert (owner.pid, owner.user) == (other.pid, user_name(NOBODY))


def test_proc_net_tcp_tells_the_same_as_netlink() -> None:
    port = free_port()
    with listening(port), listening(port, "::1"), listening(port, "127.0.0.2"):
        by_netlink = {(entry.address, entry.inode) for entry in sockets_on(port)}
        by_proc = {(entry.address, entry.inode) for entry in sock_diag._read_proc(port, silent=False)}
        assert by_netlink == by_proc
        assert len(by_netlink) == 3


def test_proc_answers_where_netlink_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(port: int, states: int) -> list[BoundSocket]:
        raise PermissionError(port, states)

    monkeypatch.setattr(sock_diag, "_ask_netlink", refuse)
    port = free_port()
    with stranger(port) as child:
        assert verify(port, child.pid).ours


def test_the_start_of_a_process_identifies_it() -> None:
    port = free_port()
    with stranger(port, env={"CLARACORE_TOKEN": "secret"}) as other:
        assert process_start(other.pid) == process_start(other.pid)
        assert process_token(other.pid) == "secret"
    assert process_start(other.pid) is None
    assert process_token(other.pid) is None
    assert process_token(os.getpid()) is None


def test_many_sockets_do_not_confuse() -> None:
    sockets = [socket.socket() for _ in range(50)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
    assert all(verify(sock.getsockname()[1], os.getpid()).ours for sock in sockets)
    for sock in sockets:
        sock.close()


def test_our_child_is_verified_on_the_address_where_it_is_reached() -> None:
    port = free_port()
    with stranger(port, host="::1") as child:
        assert verify(port, child.pid, host="::1") == Ownership(
            ours=True, listeners=frozenset(sockets_on(port)), grounds=Grounds.CHILD
        )
        assert verify(port, child.pid) == Ownership(ours=False)


def test_a_bound_and_silent_socket_answers_nothing() -> None:
    port = free_port()
    with stranger(port, "silent") as other:
        assert verify(port, other.pid) == Ownership(ours=False)


@pytest.mark.skipif(sys.platform != "linux", reason="two listeners of one user on one port")
def test_who_joined_beside_our_child_is_the_one_who_is_named() -> None:
    port = free_port()
    with stranger(port, "reuseport") as child, stranger(port, "reuseport") as other:
        verdict = verify(port, child.pid)
        assert not verdict.ours
        assert not verdict.listeners
        assert verdict.owner is not None
        assert verdict.owner.pid == other.pid
        assert verdict.note.startswith(f"port {port} is answered by python")


def test_who_is_no_container_runtime_does_not_answer_for_a_container() -> None:
    port = free_port()
    with stranger(port), stranger(free_port()) as client:
        verdict = verify(port, client.pid, whose="runtime")
        assert not verdict.ours
        assert "no container runtime" in verdict.note


def test_connections_may_be_forwarded_to_a_container_without_a_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    assert not verify(port, os.getpid(), whose="runtime").ours
    monkeypatch.setattr(owner, "sockets_on", lambda _: [])  # as where the kernel rewrites addresses
    with listening(port):
        verdict = verify(port, os.getpid(), whose="runtime")
        assert (verdict.ours, verdict.grounds, verdict.listeners) == (True, Grounds.FORWARDED, frozenset())
        assert "unchecked" in verdict.note
        assert not verify(port, os.getpid()).ours


@pytest.mark.skipif(sys.platform == "win32", reason="there is no conmon")
@pytest.mark.parametrize(("parent", "ours"), [("conmon", True), ("nginx", False), ("exe", False)])
def test_who_listens_inside_a_container_with_the_hosts_network_is_the_runtimes(
    tmp_path: Path, parent: str, *, ours: bool
) -> None:
    port = free_port()
    program = tmp_path / parent
    program.write_text(f"#!/bin/sh\n'{sys.executable}' -I -S -c '{LISTENER}' 127.0.0.1 {port}; true\n")
    program.chmod(0o755)
    container = start([str(program)])
    assert readline(container) == "ok"
    with stranger(free_port()) as client:
        verdict = verify(port, client.pid, whose="runtime")
        assert (verdict.grounds is Grounds.RUNTIME) == verdict.ours == ours
        assert not verify(port, client.pid).ours
    container.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/self/exe")
def test_a_runtime_that_has_started_itself_once_more_is_known_by_its_words(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "exe").symlink_to(sys.executable)
    command = [str(tmp_path / "exe"), "-I", "-S", "-c", LISTENER, "127.0.0.1", str(port)]
    script = f"import os; os.execv({command[0]!r}, ['rootlessport', *{command[1:]!r}])"
    runtime = start([sys.executable, "-I", "-S", "-c", script])
    assert readline(runtime) == "ok"
    with stranger(free_port()) as client:
        assert verify(port, client.pid, whose="runtime").grounds is Grounds.RUNTIME
    runtime.communicate()
