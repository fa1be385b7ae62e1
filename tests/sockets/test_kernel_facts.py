"""The facts about ports that the design stands on, asked of this kernel."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable

import pytest

from claracore.host.sockets.bound import Reuse
from claracore.host.sockets.hold import admit, hold, seal
from claracore.host.sockets.kernel import other_end
from fakes.ports import free_port
from sockets.helpers import leave_in_time_wait, listening, stranger

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the facts are Linux's")

IN_USE = str(errno.EADDRINUSE)


def shared_hold(port: int) -> socket.socket:
    holder = hold(port)
    admit(holder, Reuse.PORT)
    return holder


def lent_hold(port: int) -> socket.socket:
    holder = hold(port)
    admit(holder, Reuse.ADDRESS)
    return holder


def test_a_child_with_reuse_port_takes_over_a_held_port_and_gets_every_connection() -> None:
    port = free_port()
    with shared_hold(port), stranger(port, "reuseport", "answer") as child:
        assert child.answer == "ok"
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                assert connection.recv(5) == b"child"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("options", [(), ("reuseaddr",)])
def test_a_stranger_without_reuse_port_is_refused_while_the_port_is_held(host: str, options: tuple[str, ...]) -> None:
    port = free_port()
    with shared_hold(port), stranger(port, *options, host=host) as other:
        assert other.answer == IN_USE


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_stranger_is_refused_while_the_child_serves(host: str) -> None:
    port = free_port()
    with shared_hold(port), stranger(port, "reuseport"), stranger(port, "reuseaddr", host=host) as other:
        assert other.answer == IN_USE


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another user")
def test_another_user_is_refused_even_with_reuse_port() -> None:
    port = free_port()
    with shared_hold(port), stranger(port, "reuseport", "nobody") as other:
        assert other.answer == IN_USE


def test_nobody_is_let_in_before_sharing_begins() -> None:
    port = free_port()
    with hold(port), stranger(port, "reuseport") as other:
        assert other.answer == IN_USE


def test_while_the_child_is_down_clients_are_refused_and_the_next_child_gets_the_port_at_once() -> None:
    port = free_port()
    with shared_hold(port):
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            with stranger(port, "reuseport", "answer") as child:
                assert child.answer == "ok"
                # The child closes first, so its side of the connection stays in TIME_WAIT on the port.
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    assert connection.recv(5) == b"child"
                    assert connection.recv(1) == b""


def test_time_wait_refuses_a_plain_bind_and_not_the_hold() -> None:
    port = free_port()
    leave_in_time_wait(port)
    with pytest.raises(OSError, match=str(errno.EADDRINUSE)), socket.socket() as plain:
        plain.bind(("0.0.0.0", port))
    with shared_hold(port):
        with stranger(port, "reuseaddr") as other:
            assert other.answer == IN_USE
        # What is left of a server without SO_REUSEPORT lets in only those that say SO_REUSEADDR too.
        with stranger(port, "reuseport") as child:
            assert child.answer == IN_USE
        with stranger(port, "reuseport", "reuseaddr") as child:
            assert child.answer == "ok"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_child_with_reuse_address_joins_a_hold_that_has_it_too_and_then_shuts_everybody_out(host: str) -> None:
    port = free_port()
    with lent_hold(port), stranger(port, "reuseaddr", "answer", host=host) as child:
        assert child.answer == "ok"
        for options in (), ("reuseaddr",), ("reuseport",), ("reuseaddr", "reuseport"), ("reuseaddr", "silent"):
            with stranger(port, *options) as other:
                assert other.answer == IN_USE
        with socket.create_connection(("127.0.0.1", port)) as connection:
            assert connection.recv(5) == b"child"


@pytest.mark.parametrize("options", [(), ("reuseport",)])
def test_a_stranger_without_reuse_address_is_refused_while_a_port_waits_for_such_a_child(
    options: tuple[str, ...],
) -> None:
    port = free_port()
    with lent_hold(port), stranger(port, *options) as other:
        assert other.answer == IN_USE


def test_a_silent_stranger_with_reuse_address_cannot_keep_such_a_child_from_listening() -> None:
    port = free_port()
    with lent_hold(port), stranger(port, "reuseaddr", "silent"), stranger(port, "reuseaddr") as child:
        assert child.answer == "ok"


def test_a_hold_that_admits_nobody_any_more_is_exclusive_again() -> None:
    port = free_port()
    with lent_hold(port) as holder:
        with stranger(port, "reuseaddr") as child:
            assert child.answer == "ok"
        admit(holder, Reuse.NONE)
        with stranger(port, "reuseaddr") as other:
            assert other.answer == IN_USE


def test_a_child_that_left_connections_behind_comes_back_at_once_through_the_hold() -> None:
    port = free_port()
    with lent_hold(port):
        leave_in_time_wait(port)
        with stranger(port, "reuseaddr") as child:
            assert child.answer == "ok"


def test_a_listener_on_ipv6_only_does_not_keep_the_hold_from_passing_time_wait() -> None:
    port = free_port()
    leave_in_time_wait(port)
    with stranger(port, host="::1") as other:
        assert other.answer == "ok"
        with shared_hold(port), stranger(port, "reuseaddr") as another:
            assert another.answer == IN_USE


@pytest.mark.parametrize("silent", [(), ("silent",)])
def test_the_hold_does_not_squeeze_in_beside_a_stranger_that_allows_it(silent: tuple[str, ...]) -> None:
    port = free_port()
    with stranger(port, "reuseaddr", *silent), pytest.raises(OSError, match=str(errno.EADDRINUSE)):
        shared_hold(port)


@pytest.mark.parametrize("first", [hold, shared_hold])
def test_two_holds_of_one_port_do_not_coexist(first: Callable[[int], socket.socket]) -> None:
    port = free_port()
    with first(port), pytest.raises(OSError, match=str(errno.EADDRINUSE)):
        hold(port)


@pytest.mark.parametrize(
    ("held", "wanted", "conflict"),
    [
        ("127.0.0.1", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::1", False),
        ("::1", "127.0.0.1", False),
    ],
)
def test_which_addresses_conflict(held: str, wanted: str, conflict: bool) -> None:  # noqa: FBT001 - a parameter
    port = free_port()
    with listening(port, held), stranger(port, host=wanted) as other:
        assert other.answer == (IN_USE if conflict else "ok")


def test_a_dual_stack_wildcard_conflicts_with_ipv4() -> None:
    port = free_port()
    with listening(port), stranger(port, "dual", host="::") as other:
        assert other.answer == IN_USE


def test_the_hold_notices_a_stranger_on_any_ipv4_address() -> None:
    port = free_port()
    with stranger(port, host="127.0.0.3"), pytest.raises(OSError, match=str(errno.EADDRINUSE)):
        shared_hold(port)


def test_a_child_on_all_addresses_of_both_families_can_join() -> None:
    port = free_port()
    with shared_hold(port), stranger(port, "reuseport", "dual", host="::") as child:
        assert child.answer == "ok"
        socket.create_connection(("127.0.0.1", port)).close()


STRANGERS = [(host, options) for host in ("127.0.0.1", "0.0.0.0", "127.0.0.2") for options in ((), ("reuseaddr",))]


def test_without_a_seal_a_stranger_of_the_same_user_can_join() -> None:
    port = free_port()
    with shared_hold(port), stranger(port, "reuseport"), stranger(port, "reuseport") as other:
        assert other.answer == "ok"


def test_a_sealed_port_keeps_everybody_out_and_serves_on() -> None:
    port = free_port()
    with shared_hold(port) as holder:
        for _ in range(2):
            with stranger(port, "reuseport", "answer") as child:
                assert child.answer == "ok"
                plain = seal(holder, port)
                assert plain is not None
                for host, options in STRANGERS:
                    with stranger(port, "reuseport", *options, host=host) as other:
                        assert other.answer == IN_USE
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    assert connection.recv(5) == b"child"
            plain.close()
            admit(holder, Reuse.PORT)


def test_a_child_on_both_families_cannot_be_sealed_and_serves_on() -> None:
    port = free_port()
    with shared_hold(port) as holder, stranger(port, "reuseport", "dual", host="::"):
        assert seal(holder, port) is None
        socket.create_connection(("127.0.0.1", port)).close()


def test_the_kernel_tells_who_has_accepted_a_connection() -> None:
    for host, reached in (("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("::", "::1")):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with (
            socket.create_server((host, 0), family=family, dualstack_ipv6=host == "::") as listener,
            socket.create_connection((reached, listener.getsockname()[1])) as connection,
        ):
            assert other_end(connection) == 0, "nobody has accepted it"
            accepted, _ = listener.accept()
            with accepted:
                assert other_end(connection) == os.fstat(accepted.fileno()).st_ino
