"""What keeps a program from starting is named, also where we may not look."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

WHERE_NOBODY_MAY_GO = r"""
import asyncio, os, sys
from claracore.core.config.load import load
from claracore.host.setup.presence import missing_things
from claracore.host.supervisor.child import Child
from claracore.host.supervisor.program import SpawnFailed

async def main(folder):
    async def fails(command, cwd=None):
        try:
            await Child.spawn([command], env={"PATH": f"{folder}/open"}, on_line=print, cwd=cwd)
        except SpawnFailed as error:
            print(error.message)
    await fails(f"{folder}/closed/below/tool")
    await fails(f"{folder}/open/link")
    await fails("tool")
    await fails(f"{folder}/open/tool")
    await fails("/bin/true", f"{folder}/closed")
    await fails("/bin/true", f"{folder}/closed/below")
    await fails("/bin/true", f"{folder}/open/tool")

asyncio.run(main(sys.argv[1]))
names = ("closed/below/tool", "open/link")
models = "".join(f"  {name}: {{cmd: '{sys.argv[1]}/{name} ${{PORT}}'}}\n" for name in names)
config = load("models:\n" + models, file="c.yaml", env={}).config
print(*(finding.message for finding in missing_things(config, {})), sep="\n")
"""


def test_a_folder_that_may_not_be_entered_is_named(tmp_path: Path) -> None:
    for name in ("closed/below", "open"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "open" / "link").symlink_to("../closed/below/tool")
    (tmp_path / "closed").chmod(0o600)
    as_others = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    code = [sys.executable, "-c", WHERE_NOBODY_MAY_GO, str(tmp_path)]
    done = subprocess.run([*as_others, *code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "closed").chmod(0o700)
    told = done.stdout.replace(str(tmp_path), "").splitlines()
    denied = "Permission denied (this user may not enter /closed"
    elsewhere = "; chmod o+x it, or put the program elsewhere)"
    assert told == [
        f"cannot start '/closed/below/tool': {denied}{elsewhere}",
        f"cannot start '/open/link': {denied}{elsewhere}",
        "cannot start 'tool': /open/tool may not be executed by this user (chmod +x it)",
        "cannot start '/open/tool': Permission denied (not executable for this user; chmod +x it)",
        f"cannot start '/bin/true': its working folder '/closed': {denied})",
        f"cannot start '/bin/true': its working folder '/closed/below': {denied})",
        "cannot start '/bin/true': its working folder '/open/tool': Not a directory",
        "/closed/below/tool may not be executed: this user may not enter /closed",
        "/open/link may not be executed: this user may not enter /closed",
    ]
