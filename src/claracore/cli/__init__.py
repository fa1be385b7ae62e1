"""The command line: a verb a file."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the `claracore` command.

    `claracore engine` goes straight to the embedded engine, without loading anything else: its start-up time is part of
    every swap.
    """
    from claracore.cli import interrupts  # noqa: PLC0415 - importing `claracore.cli` is to do nothing

    interrupts.give_lost_again()
    interrupts.end_at_once()
    if sys.argv[1:2] == ["engine"]:
        from claracore.host.engines import embedded  # noqa: PLC0415 - see above

        sys.exit(embedded.main(sys.argv[2:]))
    from claracore.cli import root  # noqa: PLC0415 - see above

    root.run(sys.argv[1:])
