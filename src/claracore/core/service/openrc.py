"""What does OpenRC (Alpine, Gentoo) have to know? One script. openrc-run(8), supervise-daemon(8)."""

from __future__ import annotations

import shlex
from pathlib import PurePath

from claracore.core.service.definition import ABOUT, NAME, STOP_SECONDS, WRITTEN_BY, Service, ServiceFile


def script(service: Service, folder: PurePath) -> ServiceFile:
    """Return the script, for OpenRC's `folder`."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(service.environ.items()))
    text = f"""\
#!/sbin/openrc-run
# {WRITTEN_BY}
description={shlex.quote(ABOUT)}
supervisor=supervise-daemon
command={shlex.quote(service.argv[0])}
command_args={shlex.quote(shlex.join(service.argv[1:]))}
command_user={shlex.quote(service.account or "root")}
directory={shlex.quote(service.folder)}
output_log={shlex.quote(service.log)}
error_log={shlex.quote(service.log)}
retry=TERM/{STOP_SECONDS}/KILL/5
respawn_delay=1
rc_ulimit="-n 65536"
extra_started_commands="reload"
{exports}
depend() {{
	need net
	use dns logger
}}

reload() {{
	ebegin "Reloading {NAME}"
	supervise-daemon "$RC_SVCNAME" --signal HUP
	eend $?
}}
"""
    return ServiceFile(folder / NAME, text, executable=True)
