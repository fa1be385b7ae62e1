"""Does a command return and leave its server running?

ClaraCore starts a server as its child: only so it sees its end, stops it and gives its port to nobody else. A command
that puts its server into the background ends at once, which looks like a failure. Recognition only, by the words of
the command (also behind `sudo` and the like, or in `sh -c "..."`); options as in each program's manual.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from claracore.core.config.prefixes import last_command, name_of, programs_in, script_of

IN_BACKGROUND = re.compile(r"(?<![&>\\])&\s*(?:disown\s*)?$")
CONTAINER_SWITCHES = frozenset(
    {
        "--detach", "--env-host", "--help", "--http-proxy", "--init", "--interactive", "--no-healthcheck",
        "--no-hosts", "--oom-kill-disable", "--privileged", "--publish-all", "--quiet", "--read-only", "--replace",
        "--rm", "--rmi", "--tls-verify", "--tty", "--use-api-socket",
    }
)  # fmt: skip
"""Options of `docker run` and `podman run` that take no value; all others do, or have it behind a `=`."""
CONTAINER_SHORT_SWITCHES = "ditPq"
CLIENT_SWITCHES = frozenset(
    {"-D", "--debug", "--tls", "--tlsverify", "-r", "--remote", "--syslog", "--verbose", "--dry-run", "--compatibility"}
)
"""The same of docker, podman and their compose, before the command."""
EXTERNAL = "leave cmd away and set `proxy`: the server is then one that somebody else runs"


class Detaching(NamedTuple):
    """What leaves the server behind, and what to write instead."""

    by: str
    way_out: str


def detaching(argv: Sequence[str]) -> Detaching | None:
    """Return what in a command line puts the server into the background; None when it stays."""
    script = script_of(argv)
    if script is not None:
        return _in_script(script)
    for at in programs_in(argv):
        name = name_of(argv[at])
        judge = JUDGES.get(name)
        found = judge(name, argv[at + 1 :]) if judge is not None else None
        if found is not None:
            return found
    return None


def _in_script(script: str) -> Detaching | None:
    if IN_BACKGROUND.search(script):
        return Detaching("&", "remove it")
    try:
        return detaching(last_command(script))
    except ValueError:
        return None


def _options(words: Sequence[str], takes_value: Callable[[str], bool]) -> tuple[list[str], Sequence[str]]:
    """Divide words into options, without their values, and what follows them."""
    found: list[str] = []
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] not in {"-", "--"}:
        found.append(words[at])
        at += 2 if takes_value(words[at]) else 1
    return found, words[at:]


def _has(options: Sequence[str], short: str, *long: str) -> bool:
    """Whether a switch is among options, alone (`-d`) or in a bundle (`-itd`), or in full, unless `=false`."""
    for option in options:
        name, _, value = option.partition("=")
        if name.startswith("--"):
            if name in long and value.lower() not in {"false", "0", "f"}:
                return True
        elif short and short in option[1:].partition("=")[0]:
            return True
    return False


def _client_takes_value(option: str) -> bool:
    return "=" not in option and option not in CLIENT_SWITCHES


def _container_takes_value(option: str) -> bool:
    if option.startswith("--"):
        return "=" not in option and option not in CONTAINER_SWITCHES
    return len(option.lstrip("-" + CONTAINER_SHORT_SWITCHES)) == 1


def _container_detaches(options: Sequence[str]) -> bool:
    # In `-vd:/d` the first letter takes the rest.
    short = re.compile(f"-[{CONTAINER_SHORT_SWITCHES}]*d")
    return _has([each for each in options if each.startswith("--")], "", "--detach") or any(map(short.match, options))


def _container(name: str, words: Sequence[str]) -> Detaching | None:
    _, rest = _options(words, _client_takes_value)
    if rest[:1] == ["compose"]:
        return _compose(f"{name} compose", rest[1:])
    rest = rest[1:] if rest[:1] == ["container"] else rest
    command = rest[0] if rest else ""
    options, _ = _options(rest[1:], _container_takes_value)
    if command in {"run", "exec"} and _container_detaches(options):
        return Detaching(f"{name} {command} --detach", "remove -d (--detach)")
    if command == "start" and not _has(options, "a", "--attach") and not _has(options, "i", "--interactive"):
        return Detaching(f"{name} start", f"write `{name} start --attach`, with `cmdStop: {name} stop NAME`")
    return None


def _compose(name: str, words: Sequence[str]) -> Detaching | None:
    _, rest = _options(words, _client_takes_value)
    command = rest[0] if rest else ""
    if command == "up":  # its options may stand behind the services
        options = [word for word in rest[1:] if word.startswith("-")]
    else:
        options, _ = _options(rest[1:], _container_takes_value)
    if command in {"up", "run", "exec"} and _has(
        [each for each in options if each[:2] in {"-d", "--"}], "d", "--detach"
    ):
        return Detaching(f"{name} {command} --detach", "remove -d (--detach)")
    if command == "up" and _has(options, "", "--wait"):
        return Detaching(f"{name} up --wait", "remove --wait")
    if command in {"start", "restart"}:
        return Detaching(f"{name} {command}", f"write `{name} up SERVICE`")
    return None


def _setsid(name: str, words: Sequence[str]) -> Detaching | None:
    # setsid(1) forks when it leads its group, and what ClaraCore starts does; only --wait then stays.
    options, _ = _options(words, lambda _: False)
    return None if _has(options, "w", "--wait") else Detaching(name, "remove it, or write `setsid --wait`")


def _always(name: str, _words: Sequence[str]) -> Detaching:
    return Detaching(name, f"remove {name}: write the server's own command")


def _daemon(name: str, words: Sequence[str]) -> Detaching | None:
    options, _ = _options(words, lambda option: option in {"-n", "-u", "-D", "-E", "-O", "-o", "-l", "-F"})
    return None if _has(options, "f", "--foreground") else _always(name, words)


def _systemd_run(name: str, words: Sequence[str]) -> Detaching | None:
    stays = (("", "--scope"), ("", "--wait"), ("t", "--pty"), ("P", "--pipe"), ("S", "--shell"))
    options, _ = _options(
        words, lambda option: option in {"-u", "-p", "-E", "-H", "-M", "--unit", "--property", "--slice"}
    )
    if any(_has(options, short, long) for short, long in stays):
        return None
    return Detaching(name, "write `systemd-run --scope` (with --user, if it runs as you)")


def _start_stop_daemon(name: str, words: Sequence[str]) -> Detaching | None:
    own = words[: words.index("--")] if "--" in words else words
    if "--background" in own or any(re.fullmatch("-[SoqvmNtC]*b[a-zA-Z]*", word) for word in own):
        return Detaching(f"{name} --background", "remove --background (-b)")
    return None


def _screen(name: str, words: Sequence[str]) -> Detaching | None:
    options, _ = _options(words, lambda option: option.startswith("-") and option[-1] in "cehSTtp")
    letters = "".join(option[1:] for option in options if not option.startswith("--"))
    if "d" in letters and "m" in letters:
        return Detaching(f"{name} -dm", f"remove {name}: `claracore logs MODEL` shows what the server prints")
    return None


def _tmux(name: str, words: Sequence[str]) -> Detaching | None:
    _, rest = _options(words, lambda option: option in {"-c", "-f", "-L", "-S", "-T"})
    options, _ = _options(rest[1:], lambda option: option[-1] in "cefFnstxy")
    if rest[:1] and rest[0] in {"new", "new-session"} and _has(options, "d"):
        return Detaching(f"{name} {rest[0]} -d", f"remove {name}: `claracore logs MODEL` shows what the server prints")
    return None


def _service(name: str, words: Sequence[str]) -> Detaching | None:
    plain = [word for word in words if not word.startswith("-")]
    if any(word in {"start", "restart"} for word in plain[:3]) and "--no-daemon" not in words:
        return Detaching(f"{name} ... {next(word for word in plain if word in {'start', 'restart'})}", EXTERNAL)
    return None


def _gunicorn(name: str, words: Sequence[str]) -> Detaching | None:
    if "--daemon" in words or "-D" in words:
        return Detaching(f"{name} --daemon", "remove --daemon (-D)")
    return None


JUDGES: Mapping[str, Callable[[str, Sequence[str]], Detaching | None]] = {
    **dict.fromkeys(("docker", "podman", "nerdctl", "finch"), _container),
    **dict.fromkeys(("docker-compose", "podman-compose"), _compose),
    **dict.fromkeys(("systemctl", "service", "rc-service", "brew", "pm2", "supervisorctl", "lms"), _service),
    "daemon": _daemon,
    "daemonize": _always,
    "gunicorn": _gunicorn,
    "screen": _screen,
    "setsid": _setsid,
    "start-stop-daemon": _start_stop_daemon,
    "systemd-run": _systemd_run,
    "tmux": _tmux,
}
"""Programs that can put a server into the background, and who can tell whether this command line does."""
MENTIONED = re.compile("|".join(map(re.escape, JUDGES)) + r"|&\s*(?:disown\s*)?[\"']")
"""Without one of these in its text a command does not detach; looking for it is quicker than splitting."""
