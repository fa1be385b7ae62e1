"""How is our own port opened, together with the configuration whose ports must keep away from it?"""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace

from claracore.core.ports.listen import Listen
from claracore.host.cluster.part_file import PartFile
from claracore.host.cluster.ray_seen import expected_role
from claracore.host.sockets.front import open_listeners, opened
from claracore.host.sockets.history import load_history
from claracore.host.supervisor.config_watch import ConfigWatch
from claracore.host.supervisor.prepared import Prepared, ReadingContext, prepare_texts
from claracore.http.server_options import Options


@dataclass(frozen=True, slots=True)
class Front:
    """The open front door, and the configuration that was checked together with it."""

    listen: Listen
    listeners: list[socket.socket]
    prepared: Prepared
    watch: ConfigWatch | None
    """What has seen the configuration files before they were read; None when nobody wants to know."""


def open_front(options: Options) -> Front:
    """Read the configuration and open our port, away from those that it plans for models."""
    watched = options.sources.watched if options.watch_config else ()
    watch = ConfigWatch(watched) if watched else None
    texts, part = options.sources.texts(), PartFile(options.state_dir).load()
    history = load_history(options.state_dir, options.sources.key)
    strict, ollama, ray = options.sources.strict, options.ollama, expected_role(options.state_dir)
    around = ReadingContext(options.environ, options.listen, history, strict, ollama, ray)
    prepared = prepare_texts(texts, part, around)
    given = options.taking.listeners if options.taking is not None else None
    listeners = given or open_listeners(options.listen, avoid=prepared.plan.claimed)
    listen = opened(options.listen, listeners)
    if listen != options.listen:
        prepared = prepare_texts(texts, part, replace(around, listen=listen))
    return Front(listen, listeners, prepared, watch)
