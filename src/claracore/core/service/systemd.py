"""What do systemd's units for ClaraCore say? A service, and the socket that it is given.

Pure. The socket belongs to systemd: while ClaraCore is started again connections wait, and none is refused.
Directives and their quoting: systemd.service(5), systemd.exec(5), systemd.socket(5) of systemd 252.
"""

from __future__ import annotations

from pathlib import PurePath

from claracore.core.ports.listen import bracketed
from claracore.core.service.definition import ABOUT, NAME, STOP_SECONDS, WRITTEN_BY, Service, ServiceFile

WATCHDOG_SECONDS = 60
"""An event loop that does not turn for so long is hung: even a start of all models at once holds it for less."""
HARDENING = """\
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
"""
"""For everybody. No MemoryDenyWriteExecute: graphics drivers compile. No PrivateDevices: they are what it is for."""
HARDENING_OF_MACHINE = """\
ProtectSystem=full
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
LimitMEMLOCK=infinity
"""
"""What only the machine's manager can do everywhere; the last line lets models stay in RAM (--mlock)."""


def units(service: Service, folder: PurePath) -> tuple[ServiceFile, ...]:
    """Return the units, for systemd's `folder` of them."""
    return (
        ServiceFile(folder / f"{NAME}.socket", socket_unit(service)),
        ServiceFile(folder / f"{NAME}.service", service_unit(service)),
    )


def service_unit(service: Service) -> str:
    """Return the unit of the service."""
    whose = f"User={service.account}\n" if service.account else ""
    environ = "".join(f"Environment={quoted(f'{name}={value}')}\n" for name, value in sorted(service.environ.items()))
    return f"""\
# {WRITTEN_BY}
[Unit]
Description={ABOUT}
After=network.target

[Service]
Type=notify
# After an upgrade another process speaks for ClaraCore than the first one, which stays.
NotifyAccess=all
ExecStart={" ".join(quoted(word, dollars=True) for word in service.argv)}
ExecReload=kill -HUP $MAINPID
WorkingDirectory={service.folder.replace("%", "%%")}
{whose}{environ}Restart=on-failure
RestartSec=1
WatchdogSec={WATCHDOG_SECONDS}
TimeoutStopSec={STOP_SECONDS}
# First ClaraCore alone is told to end: it lets models finish, and saves their conversations.
KillMode=mixed
# A model that takes too much memory ends alone.
OOMPolicy=continue
LimitNOFILE=65536
{HARDENING}{HARDENING_OF_MACHINE if service.account else ""}
[Install]
WantedBy={"multi-user.target" if service.account else "default.target"}
"""


def socket_unit(service: Service) -> str:
    """Return the unit of the socket."""
    addresses = "".join(f"ListenStream={bracketed(host)}:{service.listen.port}\n" for host in service.listen.hosts)
    return f"""\
# {WRITTEN_BY}
[Unit]
Description={ABOUT}, its port

[Socket]
{addresses}BindIPv6Only=ipv6-only
NoDelay=yes

[Install]
WantedBy=sockets.target
"""


def quoted(word: str, *, dollars: bool = False) -> str:
    """Return a word as a unit has it; `dollars`: where systemd looks for variables."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return f'"{escaped.replace("$", "$$") if dollars else escaped}"'
