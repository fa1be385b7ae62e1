"""Real files that are read into memory, or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from claracore.core.config.model import ModelConfig
from claracore.core.units import GIB, MIB
from claracore.host.loading.page_cache import cached_share
from claracore.host.loading.read_ahead import ReadAhead, WasRead
from claracore.host.loading.weight_files import WeightFile, in_memory, weight_files
from loading.files import SIZE, on_disk


def read(
    *paths: Path, room: Callable[[], int] = lambda: GIB, wanted: Callable[[], bool] = lambda: True
) -> tuple[WasRead, list[float | None]]:
    told: list[WasRead] = []
    files = [WeightFile(str(path), path.stat().st_size if path.exists() else SIZE, "1") for path in paths]
    reading = ReadAhead(lambda: files, room=room, wanted=wanted, urgent=lambda: False, on_end=told.append)
    reading.start()
    reading.join()
    assert reading.is_over
    assert len(told) == 1
    return told[0], [cached_share(str(path)) for path in paths]


def test_all_files_are_there_afterwards(tmp_path: Path) -> None:
    was, shares = read(on_disk(tmp_path / "a.gguf"), on_disk(tmp_path / "b.gguf"))
    assert was.complete
    assert was.bytes == 2 * SIZE
    assert shares == [1.0, 1.0]


def test_what_is_there_is_not_read_again(tmp_path: Path) -> None:
    path = on_disk(tmp_path / "a.gguf")
    read(path)
    was, _ = read(path)
    assert (was.complete, was.bytes) == (True, 0)


def test_no_more_is_read_than_there_is_room_for(tmp_path: Path) -> None:
    was, shares = read(on_disk(tmp_path / "a.gguf"), on_disk(tmp_path / "b.gguf"), room=lambda: SIZE + 16 * MIB)
    assert not was.complete
    assert was.bytes == SIZE + 16 * MIB
    assert shares[0] == 1.0
    assert shares[1] is not None
    assert 0.1 < shares[1] < 1.0  # its last window need not be there yet


def test_without_room_nothing_is_read(tmp_path: Path) -> None:
    was, shares = read(on_disk(tmp_path / "a.gguf"), room=lambda: 0)
    assert (was.complete, was.bytes, shares) == (False, 0, [0.0])


def test_it_ends_when_nobody_wants_it_any_more(tmp_path: Path) -> None:
    looks = iter([True, True, False])
    was, shares = read(on_disk(tmp_path / "a.gguf"), wanted=lambda: next(looks))
    assert not was.complete
    assert was.bytes == 16 * MIB
    assert shares[0] is not None
    assert shares[0] < 1.0


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    path = on_disk(tmp_path / "a.gguf")
    told: list[WasRead] = []
    file = WeightFile(str(path), SIZE, "1")
    reading = ReadAhead(lambda: [file], room=lambda: GIB, wanted=lambda: True, urgent=lambda: True, on_end=told.append)
    reading.cancel()
    reading.start()
    reading.join()
    assert [was.bytes for was in told] == [0]
    assert cached_share(str(path)) == 0.0


def test_a_file_that_is_gone_by_now_is_no_error(tmp_path: Path) -> None:
    was, _ = read(tmp_path / "gone.gguf")
    assert (was.complete, was.bytes) == (False, 0)


def test_all_that_a_command_names_counts(tmp_path: Path) -> None:
    shards = [on_disk(tmp_path / f"m-0000{number}-of-00002.gguf", MIB) for number in (1, 2)]
    projector = on_disk(tmp_path / "mmproj.gguf", MIB)
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")
    cmd = f"llama-server -m {shards[0]} --mmproj {projector} --chat-template-file {template} --lora {tmp_path}/no.gguf"
    files = weight_files(ModelConfig(id="m", cmd=cmd), {})
    assert [file.path for file in files] == [str(path) for path in (*shards, projector)]
    found = in_memory(files)
    assert (found.bytes, found.missing_bytes) == (3 * MIB, 3 * MIB)
    assert found.disk == str(projector.stat().st_dev)
    assert in_memory(()).missing_bytes is None


def test_what_is_in_memory_matters_not_to_who_reads_past_it(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    for flag in ("-dio", "--direct-io", "--load-mode dio", "--load-mode=dio", "-lm dio"):
        assert weight_files(ModelConfig(id="m", cmd=f"llama-server -m {path} {flag}"), {}) == ()
    assert weight_files(ModelConfig(id="m", cmd=f"llama-server -m {path} --load-mode mmap"), {})
