"""`claracore tune MODEL`: with which settings does a model answer fastest on this machine?

By the server that runs, so that no model is loaded twice; where none runs, the model is started here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import Any, NoReturn

from claracore.cli.client import JSON, MODEL, URL, Server, path_of, running_server
from claracore.cli.interrupts import interrupt_once
from claracore.cli.terminal import say
from claracore.cli.tune_shown import Aside, time_bar
from claracore.cli.verb import Verb, flag, option, within
from claracore.core.tune.lines import note_of, result_line, trial_of
from claracore.core.tune.tuning import READ_TOKENS, WRITTEN_TOKENS, Speeds, Trial, rounded, tuning_of
from claracore.errors import ClaraCoreError
from claracore.host.places import config_file
from claracore.host.state import default_state_dir

WRITE_SECONDS = 300.0
SECONDS = 60
Show = Callable[[dict[str, Any]], None]
Line = dict[str, Any]


def tune(*, model: str, seconds: int, write: bool, config: Path | None, url: str | None, as_json: bool) -> None:
    """Try settings on a model for a minute: which answers fastest on this machine?"""
    server, config = running_server(url), config_file(config)
    telling = _Telling(as_json=as_json)
    if not as_json:
        where = f"by the server at {server.url}" if server is not None else f"as {config} has it"
        say(f"{model}, {where}: settings are tried for about {seconds} s; Ctrl-C ends with the best so far")
    try:
        with time_bar(seconds, quiet=as_json) as telling.aside:
            if server is not None:
                for line in _remote(server, model, seconds):
                    telling.line(line)
            else:
                _local(config, model, seconds, telling.line)
    except KeyboardInterrupt:
        if not telling.trials:
            say("ended before anything was measured: nothing was written", err=True)
            raise
        interrupt_once()
        telling.line(result_line(telling.trials, complete=False))
    result = telling.result
    if result is None:
        _fail("the server has ended it before anything was measured")
    if result["before"]["reading"] is None:
        _fail(result["failure"] or "nothing was measured")
    if result["settings"] and (write or _wanted(result, as_json=as_json)):
        written = _written(server, config, model, result)
        if as_json:
            say(json.dumps({"what": "written", **written}))
        else:
            say(f"written to {written['file']}; a later `claracore setup` keeps it")
    elif result["settings"] and not as_json:
        say(f"nothing was written; `claracore tune {model} --write` writes what is best")


class _Telling:
    """Shows lines as they come, and keeps what they say."""

    def __init__(self, *, as_json: bool) -> None:
        self.trials: list[Trial] = []
        self.result: Line | None = None
        self.aside: Aside = nullcontext
        """Makes room for a line."""
        self._as_json = as_json

    def line(self, line: Line) -> None:
        """Take a line. Raises ClaraCoreError for one that tells an error."""
        if line["what"] == "error":
            raise ClaraCoreError(str(line["message"]))
        if line["what"] == "trial":
            self.trials.append(trial_of(line))
        if line["what"] == "result":
            self.result = line
        with self.aside():
            self._say(line)

    def _say(self, line: Line) -> None:
        if self._as_json:
            say(json.dumps(line))
        elif line["what"] == "note":
            say(line["message"], style="yellow")
        elif line["what"] == "trial":
            say(self._trial(line))
        elif line["what"] == "result" and self.trials:
            say(_conclusion(line))

    def _trial(self, line: Line) -> str:
        begin = f"{line['number']:>3}  {line['words']:<40}"
        trial, first = self.trials[-1], self.trials[0]
        if trial.speeds is None:
            return f"{begin} failed: {trial.failure.partition(chr(10))[0]}"
        difference = ""
        if first.speeds is not None and len(self.trials) > 1:
            part = trial.speeds.answer_seconds / first.speeds.answer_seconds - 1
            difference = f"  {part:+.0%} time"
        return f"{begin} {_aligned(trial.speeds)}{difference}"


def _aligned(speeds: Speeds) -> str:
    writing = f", writes {rounded(speeds.writing):>6}" if speeds.writing is not None else ""
    return f"reads {rounded(speeds.reading):>6}{writing} tokens/s"


def _conclusion(result: Line) -> str:
    if result["before"]["reading"] is None:
        return "the model does not run as it is configured"
    ended = "" if result["complete"] else " so far"
    if result["trials"] == 1:
        return "there was no time to try anything else: give it more with --seconds"
    if not result["settings"]:
        return f"best{ended}: as configured; nothing that was tried is notably faster"
    what = f"{READ_TOKENS} tokens read, {WRITTEN_TOKENS} written" if result["after"]["writing"] else "all that is read"
    return (
        f"best{ended}: {result['words']}: a typical answer ({what}) takes {result['saves']:.0%} less; {note_of(result)}"
    )


def _remote(server: Server, model: str, seconds: int) -> Iterator[Line]:
    with server.open("POST", f"/api/models/tune/{path_of(model)}", {"seconds": seconds}) as answer:
        for text in server.lines(answer):
            yield json.loads(text)


def _local(config: Path, model: str, seconds: int, show: Show) -> None:
    """Tune without a server. What it needs is imported here: a verb that talks to a server need not wait for it."""
    import asyncio  # noqa: PLC0415 - see above
    import signal  # noqa: PLC0415 - as above

    from claracore.cli.loop import run  # noqa: PLC0415 - as above
    from claracore.host.tune.local import TuneWish, local_tuner  # noqa: PLC0415 - as above

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        wish = TuneWish(config, model, seconds)
        async with local_tuner(wish, default_state_dir(), os.environ) as tuner, aclosing(tuner.lines()) as lines:
            async for line in lines:
                show(line)

    run(main())


def _wanted(result: Line, *, as_json: bool) -> bool:
    """Ask on a terminal whether what is best is to be written; not after Ctrl-C, which has ended all questions."""
    if as_json or not result["complete"] or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        return input("write it into the configuration? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _written(server: Server | None, config: Path, model: str, result: Line) -> Line:
    """Write what is best. Returns the file's name and the backup's."""
    settings, note = result["settings"], note_of(result)
    if server is not None:
        body = {"settings": settings, "note": note}
        done = server.ask("PUT", f"/api/models/tuned/{path_of(model)}", body, timeout_seconds=WRITE_SECONDS)
        return {"file": "the server's configuration", "backup": done["backup"]}
    from claracore.host.tune.written import write_tuning  # noqa: PLC0415 - as above

    backup = write_tuning(config, model, tuning_of(settings), note, os.environ)
    return {"file": str(config), "backup": str(backup) if backup is not None else None}


def _fail(message: str) -> NoReturn:
    raise ClaraCoreError(message)


TUNE = Verb(
    tune,
    {
        "model": MODEL,
        "seconds": option("--seconds", about="For how long settings are tried.", kind=within(1, 3600), default=SECONDS),
        "write": flag("--write", about="Write what is best into the configuration; else a terminal is asked."),
        "config": option("--config", about="Configuration file, where no server runs.", kind=Path),
        "url": URL,
        "as_json": JSON,
    },
)
