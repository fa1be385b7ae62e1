"""What the files for service managers say, and that the managers understand it."""

from __future__ import annotations

import plistlib
import shlex
import shutil
import subprocess
from pathlib import Path, PurePath

import pytest

from claracore.core.ports.listen import parse_listen
from claracore.core.service import launchd, openrc, systemd
from claracore.core.service.definition import Service

ODD = """/models of "me" with 100% $HOME \\ it's"""


def service(account: str | None = None, program: str = "/opt/claracore", listen: str = "5800") -> Service:
    return Service(
        argv=(program, "--listen", listen, "--models-folder", ODD),
        folder="/srv",
        environ={"PATH": "/usr/bin:/opt/100%", "HF_HOME": ODD},
        listen=parse_listen(listen),
        account=account,
        log="/var/log/claracore.log",
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
@pytest.mark.parametrize("account", [None, "daemon"], ids=["of a user", "of the machine"])
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, account: str | None) -> None:
    true = shutil.which("true") or ""
    for unit in systemd.units(service(account, true), tmp_path):
        Path(unit.path).write_text(unit.text)
    kind = [] if account else ["--user"]
    verified = subprocess.run(
        ["systemd-analyze", *kind, "verify", "--man=no", tmp_path / "claracore.service", tmp_path / "claracore.socket"],
        env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in verified.stderr.splitlines() if "claracore" in line]
    assert (verified.returncode, ours) == (0, []), verified.stderr


def test_a_word_that_systemd_would_change_is_quoted() -> None:
    unit = systemd.service_unit(service())
    assert r'"/models of \"me\" with 100%% $$HOME \\ it' in unit
    assert r'Environment="HF_HOME=/models of \"me\" with 100%% $HOME \\ it' in unit


def test_the_service_ends_gently_and_a_model_that_is_killed_for_memory_ends_alone() -> None:
    lines = systemd.service_unit(service()).splitlines()
    for line in ("Type=notify", "ExecReload=kill -HUP $MAINPID", "KillMode=mixed", "OOMPolicy=continue"):
        assert line in lines
    assert not any(line.startswith(("User=", "ProtectSystem=")) for line in lines)
    of_machine = systemd.service_unit(service("joe")).splitlines()
    assert {"User=joe", "ProtectSystem=full", "WantedBy=multi-user.target"} <= set(of_machine)
    assert not any(line.startswith(("PrivateDevices", "MemoryDenyWriteExecute")) for line in of_machine)


@pytest.mark.parametrize(
    ("listen", "streams"),
    [
        ("5800", ["127.0.0.1:5800", "[::1]:5800"]),
        (":8080", ["0.0.0.0:8080", "[::]:8080"]),
        ("192.168.1.7:80", ["192.168.1.7:80"]),
    ],
)
def test_the_socket_is_where_it_was_asked_for(listen: str, streams: list[str]) -> None:
    unit = systemd.socket_unit(service(listen=listen))
    assert [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ListenStream")] == streams


def test_launchd_reads_what_was_meant() -> None:
    file = launchd.property_list(service("joe"), PurePath("/Library/LaunchDaemons"))
    read = plistlib.loads(file.text.encode())
    assert file.path.name == f"{read['Label']}.plist"
    assert read["ProgramArguments"][-1] == ODD
    assert read["EnvironmentVariables"]["HF_HOME"] == ODD
    assert read["UserName"] == "joe"


def test_a_shell_reads_openrcs_script_as_it_was_meant(tmp_path: Path) -> None:
    file = openrc.script(service("joe"), tmp_path)
    assert file.executable
    # As openrc-run does: the script is read, and what is started is put together by eval (supervise-daemon.sh).
    asked = f'. "$1"; eval set -- $command_args; printf "%s\\0" "$command" "$@" "$HF_HOME" "$command_user"\n{file.text}'
    Path(file.path).write_text(file.text)
    shown = subprocess.run(
        ["sh", "-c", asked.partition("\n")[0], "sh", file.path], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split("\0")[:-1] == [
        "/opt/claracore", "--listen", "5800", "--models-folder", ODD, ODD, "joe",
    ]  # fmt: skip
    assert shlex.join(["--listen", "5800"]) in file.text
