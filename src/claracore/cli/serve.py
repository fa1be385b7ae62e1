"""What happens between `claracore --models-folder DIR` and the first request?

What serves (`claracore.app`, and with it FastAPI) is imported by who serves only: it takes two thirds of the time in
which every other verb, and the shell that completes one, would have its answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from claracore import __version__
from claracore.cli.console import LogWishes, Terminal
from claracore.cli.interrupts import end_at_once, end_by
from claracore.cli.loop import run
from claracore.cli.setup import console, library_cache, progress, tell
from claracore.core.ports.listen import Listen, parse_listen
from claracore.errors import BadRequest
from claracore.host.engines.find import find_engine
from claracore.host.setup.write import SetupOptions, configured_engine, write_setup
from claracore.host.sockets.front import open_listeners
from claracore.host.store import files
from claracore.host.supervisor.configuration import Sources
from claracore.http.access.origins import Rules

if TYPE_CHECKING:
    from claracore.app import App
    from claracore.core.config.changes import Changes
    from claracore.host.setup.following import Following
    from claracore.host.supervisor.configuration import Prepared
    from claracore.host.supervisor.loop import Supervisor
    from claracore.http.options import Options

LAST_SECONDS = 5.0
"""What is left to do when everything has ended takes some 10 ms."""

DEFAULT_CONFIG = Path("config.yaml")
EMPTY_CONFIG = """\
# No models yet: choose them in the web interface under Setup, or run `claracore --models-folder DIR`.
startPort: 8100
"""


@dataclass(frozen=True, slots=True)
class ServeWishes:
    """What the person asked for on the command line."""

    folders: tuple[Path, ...]
    config: Path
    may_begin_empty: bool
    """Nobody named a configuration: where there is none, begin with an empty one."""
    config_dir: Path | None
    listen: str
    watch_config: bool
    watch_models: bool
    hold_ports: bool
    strict: bool
    log: LogWishes
    rules: Rules
    tls: tuple[Path, Path | None] | None
    """Certificate (with its chain) and private key, which may be in the same file."""
    setup: SetupOptions
    body_buffer: int | None = None
    """Megabytes for request bodies that cannot be sent on yet."""


def serve(wishes: ServeWishes) -> None:
    """Write a configuration if there is none, then serve until asked to end."""
    end_at_once()
    from claracore.http.options import Options  # noqa: PLC0415 - see the module's docstring

    terminal = Terminal(wishes.log)
    listen = parse_listen(wishes.listen)
    look_for_a_free_port(listen)
    following = _set_up(wishes, listen.port) if wishes.folders else None
    if not wishes.config.exists() and wishes.may_begin_empty:
        with contextlib.suppress(files.ChangedMeanwhile):  # somebody has just written one
            files.write(wishes.config, EMPTY_CONFIG, expected="")
    if wishes.config_dir is None and not wishes.config.exists():
        raise BadRequest(
            f"there is no {wishes.config}: point me at your models with --models-folder DIR, "
            "or at a configuration with --config FILE"
        )
    file = wishes.config if wishes.config.exists() or wishes.config_dir is None else None
    options = Options(
        Sources(file, wishes.config_dir, wishes.strict),
        listen,
        watch_config=wishes.watch_config,
        following=following if wishes.watch_models else None,
        hold_ports=wishes.hold_ports,
        rules=wishes.rules,
        body_buffer=wishes.body_buffer,
        tls=tls_context(*wishes.tls) if wishes.tls is not None else None,
    )
    _run(options, terminal)


def look_for_a_free_port(listen: Listen) -> None:
    """Find out that the port is taken before anything is written. Raises AlreadyRunning or PortTaken."""
    if "LISTEN_FDS" in os.environ:  # systemd has opened it for us
        return
    for listener in open_listeners(listen, environ={}):
        listener.close()


def _set_up(wishes: ServeWishes, listen_port: int) -> Following:
    """Write the models of the folders into the configuration and say what came of it."""
    from claracore.host.setup.following import Following  # noqa: PLC0415 - see the module's docstring

    setup = replace(wishes.setup, listen_port=listen_port)
    cache = library_cache()
    engine = find_engine(configured_engine(wishes.config))
    with progress(quiet=not sys.stderr.isatty()) as on_progress:
        report = write_setup(wishes.folders, wishes.config, setup, engine=engine, cache=cache, on_progress=on_progress)
    if report.changed or report.left_out:
        tell(report, console(), listen=wishes.listen)
    return Following(wishes.folders, wishes.config, setup, cache, report.library)


def _run(options: Options, terminal: Terminal) -> None:
    from claracore.app import build  # noqa: PLC0415 - see the module's docstring

    async def main() -> None:
        async with build(options) as app:

            def ready() -> None:
                terminal.follow(app.configuration.now.config, app.supervisor)
                app.configuration.follow(_Shown(terminal, app.supervisor))
                print(welcome(app), flush=True)

            await app.run(ready)
        _end_soon()

    try:
        run(main())
    except KeyboardInterrupt:  # while it started
        end_by(signal.SIGINT)


@dataclass(frozen=True, slots=True)
class _Shown:
    """Has the terminal show what the configuration in force asks for (`ConfigurationListener`)."""

    terminal: Terminal
    supervisor: Supervisor

    def apply(self, prepared: Prepared, changes: Changes) -> None:
        """Show what another configuration asks for."""
        del changes
        self.terminal.follow(prepared.config, self.supervisor)

    def reloaded(self) -> None:
        """Nothing more to show."""


def _end_soon() -> None:
    """See to it that the process ends, even if one of its threads waits for a disk that does not answer.

    Signals are ignored meanwhile: Python gives up its handlers some time before it is gone, and the exit code is 0.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    timer = threading.Timer(LAST_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Return how to speak TLS with a certificate. Raises BadRequest for files that cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # SSLError is one
        raise BadRequest(f"--tls-cert {certificate}: {error.strerror or error}") from error
    return context


def welcome(app: App) -> str:
    """Return what is printed when requests are accepted: where, what, and a command to try."""
    config = app.configuration.now.config
    url = app.url
    count = len(config.models)
    lines = [f"ClaraCore {__version__} serves {count} {'model' if count == 1 else 'models'} on {url}"]
    if not count:
        lines.append(no_models_yet(app.options.following, url))
    listed = [model for model in config.models.values() if not model.unlisted]
    chats = sorted(listed, key=lambda model: model.metadata.get("kind", "chat") not in {"chat", "vision"})
    if chats:
        body = {"model": chats[0].id, "messages": [{"role": "user", "content": "Say hello."}]}
        lines += [
            "try it:",
            f"  curl {url}/v1/chat/completions -H 'Content-Type: application/json' -d '{json.dumps(body)}'",
        ]
    return "\n".join(lines)


def no_models_yet(following: Following | None, url: str) -> str:
    """Say where models come from."""
    if following is None:
        return (
            f"no models yet: get or choose some on {url}/ui/setup, run `claracore pull ORG/REPO`, or start with "
            "--models-folder DIR"
        )
    folders = ", ".join(map(str, following.folders))
    return f"no models yet: files that end in .gguf are served as soon as they are in {folders}"
