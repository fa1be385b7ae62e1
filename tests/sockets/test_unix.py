from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from claracore.errors import PortTaken
from claracore.host.sockets.kernel import family
from claracore.host.sockets.unix import LONGEST_PATH_BYTES, clear_path, listener_pid, socket_path, unix_listener_of
from sockets.helpers import readline, start


def serve(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


def test_paths_are_readable_and_differ(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    first, second = socket_path(folder, "org/model:q4"), socket_path(folder, "org/model/q4")
    assert first.parent == folder
    assert first.name.startswith("org_model_q4-")
    assert first.suffix == ".sock"
    assert first != second
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_is_too_long_gives_way_to_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = tmp_path / "r"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    path = socket_path(tmp_path / ("x" * 100), "m")
    assert path.parent == short / "claracore"
    assert len(os.fsencode(path)) <= LONGEST_PATH_BYTES
    serve(path).close()


def test_the_longest_path_can_be_bound(tmp_path: Path) -> None:
    name = len("m-00000000.sock") + 1
    room = LONGEST_PATH_BYTES - len(os.fsencode(tmp_path)) - 1 - name
    if room < 1:
        pytest.skip("the temporary folder is too long already")
    path = socket_path(tmp_path / ("x" * room), "m")
    assert len(os.fsencode(path)) == LONGEST_PATH_BYTES
    serve(path).close()


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(OSError, match="only this user"):
        socket_path(folder, "m")


def test_a_dead_servers_path_is_cleared(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    clear_path(path)
    serve(path).close()
    assert path.exists()
    clear_path(path)
    assert not path.exists()


def test_a_living_server_and_other_files_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with serve(path), pytest.raises(PortTaken, match=f"pid {os.getpid()}"):
        clear_path(path)
    file = tmp_path / "file.sock"
    file.touch()
    with pytest.raises(PortTaken, match="none itself"):
        clear_path(file)


def test_who_listens(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    assert listener_pid(path) is None
    with serve(path):
        assert listener_pid(path) == os.getpid()
        assert unix_listener_of(path, os.getpid()) == os.getpid()
        assert unix_listener_of(path, os.getppid()) == os.getpid()
        assert unix_listener_of(path, 2**22) is None
    assert unix_listener_of(path, os.getpid()) is None


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")
def test_a_daemon_that_stays_in_the_group_of_its_command_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    code = (
        f"import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind('{path}'); s.listen(); print('ok', flush=True)"
    )
    listener = f"'{sys.executable}' -I -S -c \"{code}; sys.stdin.read()\" <&3"
    shell = start(["sh", "-c", f"({listener} &) 3<&0; cat"], group=True)
    assert readline(shell) == "ok"
    assert listener_pid(path) not in set(family(shell.pid))
    assert unix_listener_of(path, shell.pid) is not None
    shell.communicate()
