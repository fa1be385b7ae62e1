from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from claracore.host.sockets.kernel import process_start, process_token
from claracore.host.sockets.ledger import Ledger, living_instances
from claracore.host.sockets.orphans import Orphan, carriers, end_orphans
from fakes.ports import free_port
from sockets.helpers import readline, start, stranger

INSTANCE = """
import sys
from pathlib import Path
from claracore.host.sockets.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
with ledger.locked():
    ledger.leases.update({int(port): f"m{port}" for port in sys.argv[2:]})
    ledger.write()
print(ledger.token, flush=True)
for line in sys.stdin:
    ledger.record_child(int(line), "m")
    print("noted", flush=True)
"""


@contextmanager
def instance(folder: Path, *ports: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run another ClaraCore's ledger in a process of its own; yields it and its token."""
    process = start([sys.executable, "-c", INSTANCE, str(folder), *map(str, ports)])
    try:
        yield process, readline(process)
    finally:
        process.kill()
        process.communicate()


def record(process: subprocess.Popen[str], pid: int) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{pid}\n")
    process.stdin.flush()
    assert readline(process) == "noted"


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def test_living_instances_see_each_others_leases(tmp_path: Path) -> None:
    ours = Ledger(tmp_path)
    with instance(tmp_path, 8100, 8101) as (process, _), ours.locked():
        others = ours.others()
        assert [(other.pid, dict(other.leases)) for other in others] == [(process.pid, {8100: "m8100", 8101: "m8101"})]
        assert str(others[0]) == f"ClaraCore (pid {process.pid})"
    ours.close()


def test_the_kernel_frees_the_leases_of_a_killed_instance(tmp_path: Path) -> None:
    ours = Ledger(tmp_path)
    with instance(tmp_path, 8100) as (process, _):
        kill(process)
        with ours.locked():
            assert ours.others() == []
        assert ours.sweep() == ()
    assert len(list(tmp_path.glob("*/*.lock"))) == 1
    ours.close()


def test_nothing_is_left_when_the_last_one_leaves(tmp_path: Path) -> None:
    first, second = Ledger(tmp_path), Ledger(tmp_path)
    first.close()
    second.close()
    assert [path.name for path in tmp_path.rglob("*")] == ["mutex"]


def test_a_torn_or_missing_entry_of_a_dead_instance_is_swept(tmp_path: Path) -> None:
    ours = Ledger(tmp_path)
    for name, text in (("dead1", '{"pid": 1, "le'), ("dead2", None)):
        lock = ours._folder / f"{name}.lock"
        lock.touch()
        if text is not None:
            lock.with_suffix(".1.json").write_text(text)
    with ours.locked():
        assert ours.others() == []
    assert ours.sweep() == ()
    assert {path.name.split(".")[0] for path in ours._folder.iterdir()} == {ours.token}
    ours.close()


def test_orphans_of_other_namespaces_and_boots_are_swept_with_their_folder(tmp_path: Path) -> None:
    other = tmp_path / "0badb007-123"
    other.mkdir()
    (other / "dead.lock").touch()
    ours = Ledger(tmp_path)
    ours.sweep()
    assert not other.exists()
    ours.close()


def test_an_orphan_is_ended_and_named(tmp_path: Path) -> None:
    ours = Ledger(tmp_path)
    with instance(tmp_path) as (process, token), stranger(free_port(), env={"CLARACORE_TOKEN": token}) as child:
        record(process, child.pid)
        assert ours.sweep() == ()  # its parent lives
        assert child.process.poll() is None
        kill(process)
        assert [(orphan.pid, orphan.model) for orphan in ours.sweep()] == [(child.pid, "m")]
        assert child.process.wait() == -signal.SIGTERM
        assert ours.sweep() == ()
    ours.close()


def test_a_process_without_the_token_is_never_touched(tmp_path: Path) -> None:
    ours = Ledger(tmp_path)
    with (
        instance(tmp_path) as (process, token),
        stranger(free_port()) as without,
        stranger(free_port(), env={"CLARACORE_TOKEN": f"{token}0"}) as other,
    ):
        record(process, without.pid)
        record(process, other.pid)
        kill(process)
        assert ours.sweep() == ()
        assert without.process.poll() is None
        assert other.process.poll() is None
    ours.close()


def test_a_pid_that_was_used_again_is_never_touched(tmp_path: Path) -> None:
    with stranger(free_port(), env={"CLARACORE_TOKEN": "t"}) as other:
        began = process_start(other.pid)
        assert began is not None
        assert process_token(other.pid) == "t"
        assert end_orphans([Orphan(other.pid, began, "m", "u")]) == []
        assert other.process.poll() is None
    assert process_start(other.pid) != began
    assert tmp_path.exists()


STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ok", flush=True)
sys.stdin.read()
"""


def test_an_orphan_that_ignores_sigterm_is_killed() -> None:
    process = start([sys.executable, "-I", "-S", "-c", STUBBORN], {"CLARACORE_TOKEN": "t"})
    assert readline(process) == "ok"
    began = process_start(process.pid)
    assert began is not None
    orphan = Orphan(process.pid, began, "m", "t")
    assert end_orphans([orphan], grace_seconds=0) == [orphan]
    assert process.wait() == -signal.SIGKILL
    process.communicate()


def test_the_rest_of_an_orphans_group_goes_with_it() -> None:
    script = "sleep 1000 & echo $!; wait"
    process = start(["sh", "-c", script], {"CLARACORE_TOKEN": "t"}, group=True)
    follower = int(readline(process))
    descriptor = os.pidfd_open(follower)
    began = process_start(process.pid)
    assert began is not None
    end_orphans([Orphan(process.pid, began, "m", "t")])
    assert process.wait() == -signal.SIGTERM
    assert process_start(follower) is None
    os.close(descriptor)
    process.communicate()


def pids_of(process: subprocess.Popen[str], count: int) -> list[int]:
    return [int(readline(process)) for _ in range(count)]


SCATTERED = """
sleep 1000 & echo $!
setsid sh -c 'sleep 1000 & echo $!; wait' &
env -i sleep 1000 & echo $!
setsid env -i sleep 1000 & echo $!
wait
"""
"""In its session, in another one, without the environment, and both."""


def test_a_live_leaders_family_is_ended_wherever_it_is() -> None:
    process = start(["setsid", "sh", "-c", SCATTERED], {"CLARACORE_TOKEN": "scattered.1"})
    pids = pids_of(process, 4)
    began = process_start(process.pid)
    assert began is not None
    ended = end_orphans([Orphan(process.pid, began, "m", "scattered.1")])
    assert {orphan.pid for orphan in ended} >= {process.pid, *pids}
    assert {orphan.model for orphan in ended} == {"m"}
    assert [pid for pid in pids if process_start(pid) is not None] == []
    process.wait()
    process.communicate()


def test_what_a_dead_leader_left_is_found_by_token_and_session() -> None:
    script = "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; env -i sleep 1000 & echo $!; kill -9 $$"
    process = start(["setsid", "sh", "-c", script], {"CLARACORE_TOKEN": "headless.3"})
    pids = pids_of(process, 3)
    assert process.wait() == -signal.SIGKILL
    # The instance died before it had written the child's last state: only the pid, which is the session's number.
    ended = end_orphans([Orphan(process.pid, 0.0, "m", "headless.3")])
    assert {orphan.pid for orphan in ended} >= set(pids)
    assert [pid for pid in pids if process_start(pid) is not None] == []
    process.communicate()


def test_who_cleared_the_environment_is_known_by_session_and_pipe() -> None:
    process = start(["setsid", "sh", "-c", "env -i sleep 1000 & echo $!; kill -9 $$"], {"CLARACORE_TOKEN": "bare.1"})
    assert process.stdout is not None
    (follower,) = pids_of(process, 1)
    assert process.wait() == -signal.SIGKILL
    while process_token(follower) is not None:
        pass  # each turn asks the kernel: it ends when the shell's child has become `sleep`
    pipe = os.fstat(process.stdout.fileno()).st_ino
    try:
        assert end_orphans([Orphan(process.pid, 0.0, "m", "bare.1", pipe + 1)]) == []
        assert end_orphans([Orphan(process.pid + 1, 0.0, "m", "bare.1", pipe)]) == []
        assert process_start(follower) is not None
        (ended,) = end_orphans([Orphan(process.pid, 0.0, "m", "bare.1", pipe)])
        assert (ended.pid, ended.model) == (follower, "m")
        assert process_start(follower) is None
    finally:
        with suppress(ProcessLookupError):
            os.kill(follower, signal.SIGKILL)
    process.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="what a process is while it becomes another is Linux's affair")
def test_a_process_that_becomes_another_program_is_known_all_the_same() -> None:
    """While it does, the kernel shows no environment."""
    script = "exec sh -c 'exec sh -c \"exec sleep 1000\"'"
    for _ in range(20):
        process = start(["sh", "-c", script], {"CLARACORE_TOKEN": "changing.1"})
        assert {process_token(process.pid) for _ in range(60)} == {"changing.1"}
        process.kill()
        process.communicate()


def test_what_was_never_written_down_is_found_by_the_instances_token(tmp_path: Path) -> None:
    ours = Ledger(tmp_path)
    with instance(tmp_path) as (dead, token):
        process = start(["sh", "-c", "echo ok; exec sleep 1000"], {"CLARACORE_TOKEN": f"{token}.1"})
        assert readline(process) == "ok"
        kill(dead)
        assert [orphan.pid for orphan in ours.sweep()] == [process.pid]
        assert process.wait() == -signal.SIGTERM
        process.communicate()
    ours.close()


RESTARTED = """
import os, subprocess, sys
print("ok", flush=True)
while True:
    subprocess.run([sys.executable, "-I", "-S", "-c", "import time; time.sleep(1000)"], start_new_session=True)
"""


def test_a_script_that_starts_its_server_again_and_again_leaves_none() -> None:
    process = start([sys.executable, "-I", "-S", "-c", RESTARTED], {"CLARACORE_TOKEN": "again.1"})
    assert readline(process) == "ok"
    assert end_orphans([], token="again")
    assert process.wait() == -signal.SIGTERM
    assert carriers("again") == []
    process.communicate()


def test_we_are_never_an_orphan_ourselves() -> None:
    """As when a model's command has started this very ClaraCore."""
    code = (
        "import os; from claracore.host.sockets.orphans import end_orphans;"
        "print(end_orphans([], token='mine'), end_orphans([], token='parents'))"
    )
    inner = [sys.executable, "-c", code]
    outer = "import os, subprocess, sys; os.environ['CLARACORE_TOKEN'] = 'mine.2'; subprocess.run(sys.argv[1:])"
    process = start([sys.executable, "-c", outer, *inner], {"CLARACORE_TOKEN": "parents.1"})
    assert readline(process) == "[] []"
    assert process.wait() == 0
    process.communicate()


def entry_of(ledger: Ledger) -> str:
    (path,) = ledger._folder.glob(f"{ledger.token}.*.json")
    return path.read_text()


def test_a_change_that_was_cut_short_leaves_the_former_entry(tmp_path: Path) -> None:
    ours = Ledger(tmp_path)
    with instance(tmp_path, 8100) as (_, token), ours.locked():
        (ours._folder / f"{token}.99.json").write_text('{"pid": ')
        assert [dict(other.leases) for other in ours.others()] == [{8100: "m8100"}]
    ours.sweep()
    ours.close()


def test_children_are_forgotten_when_they_are_reaped(tmp_path: Path) -> None:
    ours = Ledger(tmp_path)
    ours.record_child(os.getpid(), "m")
    assert str(os.getpid()) in entry_of(ours).split('"children"')[1]
    ours.forget_child(os.getpid())
    assert entry_of(ours).endswith('"children": []}')
    ours.forget_child(os.getpid())
    ours.record_child(2**22, "no such process")
    assert ours._children == {}
    ours.close()


def test_the_folder_and_its_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "ports"
    ours = Ledger(folder)
    assert folder.stat().st_mode & 0o077 == 0
    assert (ours._folder / f"{ours.token}.lock").stat().st_mode & 0o077 == 0
    ours.close()


FROZEN = """
import sys
from pathlib import Path
from claracore.host.sockets.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
with ledger.locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_frozen_instance_delays_the_others_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("claracore.host.sockets.ledger.PATIENCE_SECONDS", 0.05)
    ours = Ledger(tmp_path)
    frozen = start([sys.executable, "-c", FROZEN, str(tmp_path)])
    try:
        assert readline(frozen) == "locked"
        os.kill(frozen.pid, signal.SIGSTOP)
        for _ in range(50):
            with ours.locked():
                assert [other.pid for other in ours.others()] == [frozen.pid]
        assert living_instances(tmp_path)
    finally:
        frozen.kill()
        frozen.communicate()
    assert caplog.text.count("going on without it") == 1
    with ours.locked():
        assert ours.others() == []
    ours.close()
