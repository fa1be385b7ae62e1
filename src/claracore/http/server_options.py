"""What may a person choose when starting the server?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from claracore.core.ports.listen import Listen
from claracore.host import notify
from claracore.host.state import default_state_dir
from claracore.host.supervisor.configuration import Sources
from claracore.http.access.origins import Rules

if TYPE_CHECKING:
    import ssl

    from claracore.host.setup.following import Following
    from claracore.http.taking_over import TakingOver


def _environ() -> dict[str, str]:
    """Return our environment without what systemd addressed to us alone (sd_listen_fds(3), sd_notify(3))."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LISTEN_") and name not in notify.VARIABLES
    }


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose when starting the server."""

    sources: Sources
    listen: Listen = field(default_factory=Listen)
    ollama: bool = False
    """Whether clients of Ollama are to find us where they look, if the configuration does not say where."""
    announce: bool = False
    """Whether other machines of the network are told that we are here."""
    watch_config: bool = True
    following: Following | None = None
    hold_ports: bool = True
    state_dir: Path | None = field(default_factory=default_state_dir)
    """What is remembered between starts is there; None keeps it in memory."""
    environ: Mapping[str, str] = field(default_factory=_environ)
    """What models inherit and `${env.NAME}` sees."""
    rules: Rules = field(default_factory=Rules)
    """Who may administer, and under which names."""
    base_path: str = ""
    """Path below which a proxy offers us, without a final slash; empty: what the configuration says."""
    body_buffer: int | None = None
    """Megabytes for request bodies that cannot be sent on yet; None: what the configuration says."""
    tls: ssl.SSLContext | None = None
    """Certificate and key, when we speak TLS ourselves."""
    fingerprint: str = ""
    """SHA-256 of that certificate, 64 hex digits; empty without one."""
    notifier: notify.Notifier = field(default_factory=notify.Notifier)
    """Tells the service manager how we are."""

    taking: TakingOver | None = None
    """The process whose place this one is to take; None where there is none."""

    @property
    def followed(self) -> tuple[Path, ...]:
        """The folders whose models are served as soon as they are there, absolute."""
        folders = self.following.folders if self.following is not None else ()
        return tuple(Path(os.path.abspath(os.path.expanduser(folder))) for folder in folders)  # noqa: PTH100, PTH111 - as the library does

    @property
    def socket_dir(self) -> Path | None:
        """Where the Unix sockets of models with `transport: unix` are; None without a state folder."""
        return self.state_dir / "sockets" if self.state_dir is not None else None

    def url(self, listen: Listen) -> str:
        """Return where people reach us from this machine."""
        return listen.url if self.tls is None else "https" + listen.url.removeprefix("http")
