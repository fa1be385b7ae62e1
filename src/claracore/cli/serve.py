"""What happens between `claracore --models-folder DIR` and the first request?

What serves (`claracore.app`, and with it FastAPI) is imported by who serves only: it takes two thirds of the time in
which every other verb, and the shell that completes one, would have its answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import ssl
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from claracore import __version__
from claracore.cli.console import Terminal
from claracore.cli.interrupts import end_at_once, end_by
from claracore.cli.loop import run
from claracore.core.config.lines import read_plain
from claracore.core.ports.listen import Listen, parse_listen
from claracore.core.units import counted
from claracore.errors import BadRequest, ClaraCoreError
from claracore.host.library.destinations import Destinations
from claracore.host.places import LOCAL_CONFIG, WAYS_OUT, config_file, why_not_own
from claracore.host.sockets.front import open_listeners
from claracore.host.store import files
from claracore.host.supervisor.configuration import Sources
from claracore.host.upgrade.successor import predecessor
from claracore.http.access.origins import Rules, hosts

if TYPE_CHECKING:
    from collections.abc import Callable

    from claracore.app import App
    from claracore.cli.serve_options import ServeOptions
    from claracore.core.config.changes import Changes
    from claracore.host.setup.following import Following
    from claracore.host.supervisor.loop import Supervisor
    from claracore.host.supervisor.prepared import Prepared
    from claracore.http.server_options import Options

LAST_SECONDS = 5.0
"""What is left to do when everything has ended takes some 10 ms."""

EMPTY_CONFIG = """\
# No models yet: choose them in the web interface under Setup, or run `claracore setup`.
startPort: 8100
"""


def serve(chosen: ServeOptions, once_served: Callable[[str], None] = lambda _url: None) -> None:
    """Write a configuration if there is none, then serve until asked to end.

    `once_served` is called with our address when requests are accepted; it is quick.
    """
    end_at_once()
    from claracore.http.server_options import Options  # noqa: PLC0415 - see the module's docstring
    from claracore.http.taking_over import TakingOver  # noqa: PLC0415 - as above

    former = predecessor()
    terminal = Terminal(chosen.log_level, chosen.log_format, chosen.log_file)
    listen = parse_listen(chosen.listen)
    if former is None:
        look_for_a_free_port(listen)
    config = config_file(chosen.config)
    following = _follow(chosen, config, listen) if chosen.models_folder else None
    if following is None and chosen.config_dir is None and former is None:
        _offer(chosen, config, listen)
    _need_configuration(chosen, config)
    options = Options(
        Sources(config if config.exists() or chosen.config_dir is None else None, chosen.config_dir, chosen.strict),
        listen,
        ollama=chosen.ollama,
        announce=chosen.announce,
        watch_config=chosen.watch_config,
        following=following if chosen.watch_models else None,
        hold_ports=chosen.hold_ports,
        rules=Rules(chosen.insecure, hosts(chosen.allowed_host or ()), hosts(chosen.cors_origin or ())),
        base_path=chosen.base_path,
        body_buffer=chosen.body_buffer,
        tls=tls_context(chosen.tls_cert, chosen.tls_key) if chosen.tls_cert is not None else None,
        taking=TakingOver(former) if former is not None else None,
        fingerprint=fingerprint_of(chosen.tls_cert) if chosen.tls_cert is not None else "",
    )
    _run(options, terminal, once_served)


def _follow(chosen: ServeOptions, config: Path, listen: Listen) -> Following:
    from claracore.cli.setup import set_up_folders  # noqa: PLC0415 - not where a configuration is all that is needed

    return set_up_folders(chosen, config, listen)


def _offer(chosen: ServeOptions, config: Path, listen: Listen) -> None:
    """Where nothing is configured yet, ask whoever sits at the terminal whether models that are here are to be used."""
    if _has_models(config) or (chosen.config is not None and not config.exists()):
        return
    from claracore.cli.stores import offer_stores, on_terminal  # noqa: PLC0415 - at a first start only

    if on_terminal() and (folders := offer_stores()):
        _follow(replace(chosen, models_folder=folders), config, listen)


def _has_models(config: Path) -> bool:
    """Whether a file names models, here or on peers, or cannot be read: then whoever serves it says so."""
    if not config.exists():
        return False
    try:
        return not read_plain(files.read(config)).keys().isdisjoint({"models", "peers"})
    except (ClaraCoreError, ValueError):
        return True


def _need_configuration(chosen: ServeOptions, config: Path) -> None:
    """Begin with an empty file where nobody has named one. Raises BadRequest when what was named is not there."""
    if not config.exists() and chosen.config is None and chosen.config_dir is None:
        _begin(config)
    if chosen.config_dir is None and not config.exists():
        raise BadRequest(
            f"there is no {config}: point me at your models with --models-folder DIR, "
            "or at a configuration with --config FILE"
        )


def _begin(config: Path) -> None:
    """Write an empty configuration. Raises BadRequest with the ways out when that cannot be."""
    with contextlib.suppress(files.ChangedMeanwhile):  # somebody has just written one
        try:
            files.write(config, EMPTY_CONFIG, expected="")
        except files.FileUnusable as error:
            reasons = "; ".join(filter(None, (why_not_own(), error.message)))
            raise BadRequest(f"there is nowhere to keep a configuration: {reasons}. Ways out: {WAYS_OUT}") from error


def look_for_a_free_port(listen: Listen) -> None:
    """Find out that the port is taken before anything is written. Raises AlreadyRunning or PortTaken."""
    if "LISTEN_FDS" in os.environ:  # systemd has opened it for us
        return
    for listener in open_listeners(listen, environ={}):
        listener.close()


def _run(options: Options, terminal: Terminal, once_served: Callable[[str], None]) -> None:
    from claracore.app import build  # noqa: PLC0415 - see the module's docstring
    from claracore.http.taking_over import taking_over  # noqa: PLC0415 - as above

    async def main() -> None:
        async with taking_over(options.taking), build(options) as app:

            def ready() -> None:
                terminal.follow(app.configuration.now.config, app.supervisor)
                app.configuration.follow(_ShownConfiguration(terminal, app.supervisor))
                if options.taking is None:  # else the process before has said all that, on the same terminal
                    print(welcome(app), flush=True)
                once_served(app.url)

            await app.run(ready)
        _end_soon()

    try:
        run(main())
    except KeyboardInterrupt:  # while it started
        end_by(signal.SIGINT)


@dataclass(frozen=True, slots=True)
class _ShownConfiguration:
    """Has the terminal show what the configuration in force asks for (`ConfigurationListener`)."""

    terminal: Terminal
    supervisor: Supervisor

    def apply(self, prepared: Prepared, changes: Changes) -> None:
        """Show what another configuration asks for."""
        del changes
        self.terminal.follow(prepared.config, self.supervisor)

    async def reloaded(self) -> None:
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


def fingerprint_of(certificate: Path) -> str:
    """Return the SHA-256 of the first certificate of a file, which is ours. Raises BadRequest."""
    try:
        text = certificate.read_text(encoding="ascii", errors="replace")
        begin, end = text.index(ssl.PEM_HEADER), text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[begin:end])).hexdigest()
    except (OSError, ValueError) as error:
        raise BadRequest(f"--tls-cert {certificate}: {error}") from error


def welcome(app: App) -> str:
    """Return what is printed when requests are accepted: where, what, and a command to try."""
    config = app.configuration.now.config
    url = app.url
    count = len(config.models)
    lines = [f"ClaraCore {__version__} serves {counted(count, 'model')} on {url}"]
    lines += whereabouts(app)
    if app.second.listen is not None:
        lines.append(f"clients of Ollama find it on {app.second.listen.url}")
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


def whereabouts(app: App) -> list[str]:
    """Say which file is in force and where downloads go, and why it is not the user's own where nobody has chosen."""
    file = app.options.sources.file
    if file is None:
        return []
    why = why_not_own() if file == LOCAL_CONFIG else None
    reason = f" (not in your configuration folder: {why})" if why is not None else ""
    folder = Destinations(app.configuration, app.options.followed).usual()
    return [f"configuration: {os.path.abspath(file)}{reason}", f"downloads go to {folder}"]  # noqa: PTH100 - links stay


def no_models_yet(following: Following | None, url: str) -> str:
    """Say where models come from."""
    if following is None:
        return (
            f"no models yet: get or choose some on {url}/ui/setup, run `claracore setup` (it finds those of LM Studio, "
            "Ollama and others) or `claracore pull ORG/REPO`, or start with --models-folder DIR"
        )
    folders = ", ".join(map(str, following.folders))
    return f"no models yet: files that end in .gguf are served as soon as they are in {folders}"
