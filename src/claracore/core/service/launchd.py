"""What does launchd (macOS) have to know? One property list. launchd.plist(5)."""

from __future__ import annotations

import plistlib
from pathlib import PurePath

from claracore.core.service.definition import STOP_SECONDS, WRITTEN_BY, Service, ServiceFile

LABEL = "org.claracore.claracore"


def property_list(service: Service, folder: PurePath) -> ServiceFile:
    """Return the file, for launchd's `folder`."""
    keys = {
        "Label": LABEL,
        "ProgramArguments": list(service.argv),
        "WorkingDirectory": service.folder,
        "EnvironmentVariables": dict(service.environ),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": STOP_SECONDS,
        "ProcessType": "Interactive",  # otherwise it is slowed down in favour of what is in front
        "SoftResourceLimits": {"NumberOfFiles": 65536},
        "StandardOutPath": service.log,
        "StandardErrorPath": service.log,
        **({"UserName": service.account} if service.account else {}),
    }
    text = plistlib.dumps(keys).decode()
    return ServiceFile(folder / f"{LABEL}.plist", text.replace("<plist", f"<!-- {WRITTEN_BY} -->\n<plist", 1))
