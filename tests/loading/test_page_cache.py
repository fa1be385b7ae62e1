"""What of a real file is in memory, and how more of it gets there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.core.units import MIB
from claracore.host.hardware.tree import Tree
from claracore.host.loading.page_cache import WINDOW_BYTES, ask_for, cached_share, piece_bytes, wait_for
from loading.files import SIZE, on_disk

QUEUE = "sys/dev/block/8:1/queue"


def test_what_was_read_is_in_memory(tmp_path: Path) -> None:
    path = on_disk(tmp_path / "m.gguf")
    with path.open("rb", buffering=0) as file:
        piece = piece_bytes(os.fstat(file.fileno()).st_dev)
        ask_for(file.fileno(), 0, SIZE // 2, piece)
        wait_for(file.fileno(), SIZE // 2 - 1)
        assert cached_share(str(path)) == pytest.approx(0.5, abs=0.25)  # the kernel may read on by itself
        ask_for(file.fileno(), SIZE // 2, SIZE // 2, piece)
        for at in range(0, SIZE, 4096):
            wait_for(file.fileno(), at)
    assert cached_share(str(path)) == 1.0


def test_a_file_without_pages_and_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty.gguf").touch()
    assert cached_share(str(tmp_path / "empty.gguf")) == 1.0
    assert cached_share(str(tmp_path / "none.gguf")) is None


def test_of_a_file_of_somebody_else_nothing_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(bytes(10_000))
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert cached_share(str(path)) is None


@pytest.mark.parametrize(
    ("files", "size"),
    [
        ({}, 128 * 1024),
        (
            {f"{QUEUE}/read_ahead_kb": "128", f"{QUEUE}/max_sectors_kb": "1280"},
            1280 << 10,
        ),
        ({"sys/class/bdi/8:1/read_ahead_kb": "512"}, 512 * 1024),
        ({"sys/class/bdi/8:1/read_ahead_kb": "15360"}, WINDOW_BYTES),
    ],
)
def test_what_is_asked_for_at_once_is_what_the_kernel_reads_at_once(
    tmp_path: Path, files: dict[str, str], size: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert piece_bytes(os.makedev(8, 1), Tree(tmp_path)) == size
    assert WINDOW_BYTES == 8 * MIB
