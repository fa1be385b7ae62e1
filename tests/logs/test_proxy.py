from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path

from claracore.host.logs.proxy import JsonFormatter, LogEntry, ProxyLog, file_handler


def record(message: str, *args: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("claracore.x", level, "f.py", 1, message, args, None)


def test_entries_are_kept_with_time_and_level_and_told() -> None:
    async def conversation() -> None:
        told: list[LogEntry] = []
        log = ProxyLog(told.append)
        log.handle(record("model %s: ready", "qwen"))
        log.handle(record("two\nlines", level=logging.WARNING))
        assert [(entry.text, entry.level) for entry in told] == [("model qwen: ready", "info"), ("two\nlines", "warn")]
        assert list(log.entries) == told
        assert log.ring.tail(2)[0].endswith("WARNING two")
        assert log.ring.tail(1) == ("lines",)

    asyncio.run(conversation())


def test_entries_of_other_threads_arrive_on_the_loop() -> None:
    async def conversation() -> None:
        heard = asyncio.Event()
        threads: list[int] = []

        def hear(_: LogEntry) -> None:
            threads.append(threading.get_ident())
            heard.set()

        log = ProxyLog(hear)
        await asyncio.to_thread(log.handle, record("from far away"))
        await heard.wait()
        assert threads == [threading.get_ident()]

    asyncio.run(conversation())


def test_a_bad_log_call_breaks_nobody() -> None:
    async def conversation() -> None:
        log = ProxyLog()
        log.handleError = lambda record: None  # type: ignore[method-assign] # noqa: ARG005 - it would print the error
        log.handle(record("%d", "no number"))
        assert not log.entries

    asyncio.run(conversation())


def test_json_lines_have_the_facts_apart() -> None:
    entry = record('say "%s"', "ü")
    entry.exc_info = (ValueError, ValueError("x"), None)
    line = JsonFormatter().format(entry)
    told = json.loads(line)
    assert "\n" not in line
    assert told["message"] == 'say "ü"'
    assert (told["level"], told["logger"]) == ("info", "claracore.x")
    assert "ValueError: x" in told["exception"]


def test_a_full_file_is_rotated(tmp_path: Path) -> None:
    handler = file_handler(tmp_path / "logs" / "claracore.log", max_bytes=200, kept=2)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(20):
        handler.handle(record(f"{number:03} {'x' * 40}"))
    handler.close()
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert names == ["claracore.log", "claracore.log.1", "claracore.log.2"]
    assert (tmp_path / "logs" / "claracore.log").read_text().startswith("0")
