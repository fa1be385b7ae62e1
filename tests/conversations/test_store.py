"""What is kept in a folder: private, whole, and gone with whoever had it in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from claracore.core.conversations.kept import KeptConversation
from claracore.host.conversations import folders
from claracore.host.conversations.folders import in_memory, on_disk
from claracore.host.conversations.store import ConversationStore


def put(store: ConversationStore, model: str, *names: str) -> list[KeptConversation]:
    folder = store.prepare(model)
    made = []
    for number, name in enumerate(names):
        (folder / f"{name}.state").write_bytes(b"x" * 100)
        made.append(KeptConversation(model, f"{name}.state", "f", 300, 100, 1000.0 + number))
    store.put(model, made)
    return made


def test_what_is_kept_is_there_for_the_next_one(tmp_path: Path) -> None:
    made = put(ConversationStore(tmp_path), "a/b", "one", "two")
    again = ConversationStore(tmp_path)
    assert list(again.of("a/b")) == made
    assert again.size == 200


def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    store = ConversationStore(tmp_path)
    put(store, "m", "one")
    assert (store.folder_of("m")).stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in store.folder_of("m").iterdir()} == {0o600}


def test_what_was_cut_short_is_not_kept(tmp_path: Path) -> None:
    store = ConversationStore(tmp_path)
    one, _ = put(store, "m", "one", "two")
    (store.folder_of("m") / "two.state").write_bytes(b"x" * 50)
    assert list(ConversationStore(tmp_path).of("m")) == [one]


@pytest.mark.parametrize("raw", [b"[{}]", b'[{"model": "other"}]', b"[" * 100_000])
def test_a_list_that_cannot_be_read_is_that_of_nothing(tmp_path: Path, raw: bytes) -> None:
    store = ConversationStore(tmp_path)
    put(store, "m", "one")
    (store.folder_of("m") / "list.json").write_bytes(raw)
    assert list(ConversationStore(tmp_path)) == []
    assert not store.folder_of("m").exists()


def test_what_is_not_listed_goes(tmp_path: Path) -> None:
    store = ConversationStore(tmp_path)
    put(store, "m", "one")
    (store.folder_of("m") / "half.state").write_bytes(b"x")
    store.prepare("m")
    assert {path.name for path in store.folder_of("m").iterdir()} == {"list.json", "one.state"}


def test_what_is_being_written_is_no_rubbish(tmp_path: Path) -> None:
    store = ConversationStore(tmp_path)
    one, two = put(store, "m", "one", "two")
    with store.new_file("m", 0) as new:
        new.path.write_bytes(b"x" * 100)
        store.drop([one])
        assert new.path.exists(), "others may go meanwhile"
        new.wanted = True
    store.put("m", [two, KeptConversation("m", new.path.name, "f", 300, 100, 1002.0)])
    store.drop([two])
    assert new.path.exists()
    store.put("m", [])
    assert not new.path.exists()


def test_what_was_not_written_to_its_end_goes(tmp_path: Path) -> None:
    store = ConversationStore(tmp_path)
    put(store, "m", "one")
    with store.new_file("m", 0) as new:
        new.path.write_bytes(b"x")
    assert [path.name for path in tmp_path.rglob("*.state")] == ["one.state"]


def test_dropped_ones_leave_nothing(tmp_path: Path) -> None:
    store = ConversationStore(tmp_path)
    one, two = put(store, "m", "one", "two")
    store.drop([one])
    assert list(store.of("m")) == [two]
    store.drop([two])
    assert list(store.folder_of("m").iterdir()) == []


@pytest.fixture
def tmpfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "TMPFS", tmp_path)
    return tmp_path


@pytest.mark.processes
def test_what_a_killed_process_had_in_memory_is_swept(tmpfs: Path) -> None:
    code = (
        "from pathlib import Path; import sys, claracore.host.conversations.folders as f; f.TMPFS = Path(sys.argv[1]);"
        "h = f.in_memory(); (h.path / 'said').write_text('secret'); print(h.path, flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(tmpfs)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        of_child = Path(child.stdout.readline().strip())
        in_memory().close(remove=True)
        assert (of_child / "said").exists(), "its owner lives"
        child.kill()
    mine = in_memory()
    assert not of_child.exists()
    assert mine.path.stat().st_mode & 0o777 == 0o700
    mine.close(remove=True)
    assert not mine.path.exists()


def test_a_folder_that_somebody_else_prepared_is_not_used(tmpfs: Path) -> None:
    elsewhere = tmpfs / "elsewhere"
    elsewhere.mkdir()
    (tmpfs / f"claracore-{os.getuid()}").symlink_to(elsewhere)
    with pytest.raises(OSError, match="only this user"):
        in_memory()


def test_one_process_at_a_time_has_a_configurations_folder(tmp_path: Path) -> None:
    first = on_disk(tmp_path, "/a/config.yaml")
    with pytest.raises(OSError, match="another ClaraCore"):
        on_disk(tmp_path, "/a/config.yaml")
    first.close(remove=False)
    on_disk(tmp_path, "/a/config.yaml").close(remove=False)
