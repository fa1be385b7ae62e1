"""Which program does a command line run, behind the words that only introduce it?

`sudo -u ann nice -n 5 docker run x` runs docker, `env A=b sh -c 'cd /x && exec server'` a script whose last command is
server. Recognition by names only, without the options of each prefix: what follows an option may be its value, or the
program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from claracore.core.config.command import split

SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash", "fish"})
PREFIXES = frozenset(
    {
        "sudo", "doas", "env", "nice", "ionice", "chrt", "taskset", "numactl", "exec", "nohup", "time", "timeout",
        "stdbuf", "setsid", "systemd-run", "prlimit",
    }
)  # fmt: skip
"""Programs that run the command which follows them, after options and assignments of their own."""
SCRIPT_FLAG = re.compile(r"-[a-z]*c[a-z]*")
BETWEEN_COMMANDS = re.compile(r"&&|\|\||;|\n")


def name_of(word: str) -> str:
    """Return the name of the program that a word of a command line stands for: without its folder, and `.exe`."""
    return PurePath(word).name.removesuffix(".exe")


def programs_in(argv: Sequence[str]) -> Iterator[int]:
    """Yield where in a command line its program may stand, the words before it included.

    Up to the first word that is no prefix, no option of one and no value of an option.
    """
    for index, word in enumerate(argv):
        yield index
        if not (name_of(word) in PREFIXES or (index > 0 and _may_be_option_or_value(word, argv[index - 1]))):
            return


def _may_be_option_or_value(word: str, before: str) -> bool:
    return word.startswith("-") or "=" in word or before.startswith("-") or word[:1].isdigit()


def script_at(argv: Sequence[str]) -> int | None:
    """Return where in a command line the script of a `sh -c` stands, whoever runs it; None when there is none."""
    for index in range(2, len(argv)):
        if SCRIPT_FLAG.fullmatch(argv[index - 1]) and name_of(argv[index - 2]) in SHELLS:
            return index
    return None


def script_of(argv: Sequence[str]) -> str | None:
    """Return the script of a command line whose program is a shell with `-c`; None for any other program."""
    at = script_at(argv)
    return argv[at] if at is not None and at - 2 in programs_in(argv) else None


def last_command(script: str) -> list[str]:
    """Return the words of a script's last command, which is the one that it waits for. Raises ValueError as `split`."""
    return split(BETWEEN_COMMANDS.split(script.strip().rstrip(";"))[-1])
