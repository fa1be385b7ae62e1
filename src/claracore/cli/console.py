"""What does the terminal show while ClaraCore serves? (`logLevel`, `logTimeFormat`, `logToStdout`.)

ClaraCore's own log goes to stderr, the output of models to stdout, so that a pipe can tell them apart.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from claracore.cli.terminal import moves
from claracore.core.config.model import Config
from claracore.errors import BadRequest
from claracore.host.logs.proxy import JsonFormatter, TextFormatter, file_handler
from claracore.host.logs.times import layout_named
from claracore.host.supervisor.loop import Supervisor

FORMATS = ("text", "json")
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
ROOT = logging.getLogger("claracore")


@dataclass(frozen=True, slots=True)
class Printer:
    """Writes the lines of one model's output."""

    model_id: str
    stream: TextIO

    def push(self, line: str) -> None:
        """Write a line."""
        self.stream.write(f"[{self.model_id}] {line}\n")
        self.stream.flush()


class Terminal:
    """The terminal, or whatever stdout and stderr are; it follows the configuration in force."""

    def __init__(self, level: str | None, form: str, file: Path | None) -> None:
        """Send the log to stderr, and to a file if asked for; without a level logLevel of the configuration counts.

        Raises BadRequest for what is no level or format.
        """
        first = level or "info"
        if first not in LEVELS:
            raise BadRequest(f"--log-level {level!r}: one of {', '.join(LEVELS)}")
        if form not in FORMATS:
            raise BadRequest(f"--log-format {form!r}: one of {', '.join(FORMATS)}")
        self._level, self._form = level, form
        self._printers: dict[str, Printer] = {}
        self._handler = self._own_handler()
        ROOT.handlers[:] = [self._handler]
        if file is not None:
            to_file = file_handler(file)
            to_file.setFormatter(self._formatter())
            ROOT.addHandler(to_file)
        ROOT.setLevel(LEVELS[first])
        ROOT.propagate = False

    def follow(self, config: Config, supervisor: Supervisor) -> None:
        """Show what this configuration asks for."""
        if self._level is None:
            ROOT.setLevel(LEVELS[config.log_level])
        layout = layout_named(config.log_time_format)
        for handler in ROOT.handlers:
            if isinstance(handler.formatter, TextFormatter):
                handler.formatter.layout = layout
        own, models = config.log_to_stdout in {"proxy", "both"}, config.log_to_stdout in {"upstream", "both"}
        self._handler.setLevel(logging.NOTSET if own else logging.WARNING)
        wanted = config.models.keys() if models else set()
        for model_id in wanted - self._printers.keys():
            self._printers[model_id] = Printer(model_id, sys.stdout)
            supervisor.output(model_id).attach(self._printers[model_id])
        for model_id in self._printers.keys() - wanted:
            supervisor.output(model_id).detach(self._printers.pop(model_id))

    def _own_handler(self) -> logging.Handler:
        if self._form == "text" and moves(sys.stderr):
            # Here and in the other commands: 3 MB, which a server without a terminal would carry along.
            from rich.console import Console  # noqa: PLC0415
            from rich.logging import RichHandler  # noqa: PLC0415

            return RichHandler(console=Console(stderr=True), show_path=False, markup=False)
        handler = logging.StreamHandler()
        handler.setFormatter(self._formatter())
        return handler

    def _formatter(self) -> logging.Formatter:
        return JsonFormatter() if self._form == "json" else TextFormatter()
