"""A llama-server for a machine with graphics cards that is none: lists devices, and serves as the fake server does."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from claracore.host.engines.llama_flags import LLAMA_FLAGS
from fakes import SCRIPT

TEMPLATE = """#!/bin/sh
case $1 in
--version) echo "version: 11434 (abcdef0)" >&2; exit;;
--list-devices) cat <<'EOF'
Available devices:
{devices}
EOF
exit;;
--help) cat <<'EOF'
{flags}
EOF
exit;;
esac
exec {server} "$@"
"""


def engine_with_cards(folder: Path, cards: Sequence[int] = (24124, 24124), more: Sequence[str] = ()) -> Path:
    """Write the program; `cards` are MiB, `more` are flags of the fake server. Returns its path."""
    path = folder / "llama-server"
    devices = "\n".join(
        f"  CUDA{number}: NVIDIA GeForce RTX 3090 ({size} MiB, {size} MiB free)" for number, size in enumerate(cards)
    )
    flags = "\n".join(sorted(flag for flag in LLAMA_FLAGS if flag.startswith("--")))
    server = shlex.join([sys.executable, "-E", "-S", str(SCRIPT), *more])
    path.write_text(TEMPLATE.format(devices=devices, flags=flags, server=server))
    path.chmod(0o755)
    return path
