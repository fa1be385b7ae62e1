"""Which flags does llama-server have, so that the embedded engine can say that it lacks one?

    python tools/engine_flags.py LLAMA_SERVER        python tools/engine_flags.py HELP.txt

Writes `src/claracore/host/engines/llama_flags.py` from what `--help` prints, or from a text of it that is kept under
the name of its build (`tests/engines/helps`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from claracore.host.engines import abilities

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ROOT / "src" / "claracore" / "host" / "engines" / "llama_flags.py"
EARLIER = frozenset({"--model-vocoder", "--tts-use-guide-tokens", "-mv"})
"""Flags of builds before those whose help is kept; people still have command lines with them."""

MODULE = '''"""Which flags does llama-server have?

Made by tools/engine_flags.py from the --help of llama.cpp {version}, and with what earlier builds had. Do not edit.
"""

from __future__ import annotations

VERSION = "{version}"

WORDS = """
{words}
"""

LLAMA_FLAGS = frozenset(WORDS.split())
'''


def main() -> int:
    """Write the module; return the exit status."""
    parser = argparse.ArgumentParser(description="List the flags of llama-server.")
    parser.add_argument("source", type=Path, help="a llama-server, or a text of its --help named BUILD.txt")
    source: Path = parser.parse_args().source
    version, help_text = asked(source) if os.access(source, os.X_OK) else (source.stem, source.read_text())
    FLAGS.write_text(module(version, help_text))
    return 0


def asked(binary: Path) -> tuple[str, str]:
    """Run a llama-server; return its version and its help. Raises CalledProcessError."""
    outputs = [
        subprocess.run([binary, flag], capture_output=True, check=True, text=True) for flag in ("--version", "--help")
    ]
    version, help_text = (done.stdout + done.stderr for done in outputs)
    return abilities.version(version), help_text


def module(version: str, help_text: str) -> str:
    """Return the text of the module."""
    flags = sorted(abilities.flags(help_text) | EARLIER)
    words = textwrap.wrap(" ".join(flags), 116, break_long_words=False, break_on_hyphens=False)
    return MODULE.format(version=version, words=textwrap.indent("\n".join(words), "    "))


if __name__ == "__main__":
    sys.exit(main())
