"""Is the list of suggested models (`src/claracore/host/library/suggestions.toml`) as it must be?

Checks its shape, that small, usual and large machines are shown six models each, and, where the hub can be reached
(HF_ENDPOINT, else huggingface.co), that every entry is there, open to everybody, and of the size that the list says.
Prints what is wrong, one line each; exit code 1 if anything is, 0 otherwise, also without a network unless `--hub` asks
for it.

    python tools/suggestions.py [--hub]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from claracore.core.fit.budget import Budget
from claracore.core.fit.size import SizeVerdict
from claracore.core.fit.speed import MachineSpeed
from claracore.core.pull.suggestions import SHOWN, Suggestion, suggestions_of, suited
from claracore.core.units import GIB
from claracore.host.library.hub_access import HubAccess
from claracore.host.library.hub_tokens import HubTokens
from claracore.host.library.suggested import FILE, Checked, checked

MACHINES = {
    "a small computer (4 GiB)": (Budget((), 3 * GIB, ()), MachineSpeed(15e9, 4)),
    "a laptop (16 GiB)": (Budget((), 14 * GIB, ()), MachineSpeed(50e9, 8)),
    "a card of 24 GB": (Budget((23 * GIB,), 60 * GIB, (False,)), MachineSpeed(60e9, 16, (1000e9,), (80e12,))),
}


def main() -> int:
    """Check, and print what is wrong."""
    wishes = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    wishes.add_argument("--hub", action="store_true", help="count a hub that cannot be reached as wrong")
    wishes.add_argument("--file", type=Path, default=FILE, help="another list")
    chosen = wishes.parse_args()
    try:
        listed = suggestions_of(tomllib.loads(chosen.file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # WrongSuggestion and TOMLDecodeError are ValueErrors
        print(f"{chosen.file.name}: {error}")
        return 1
    wrong = list(few(listed))
    said = asyncio.run(asked(listed, os.environ))
    wrong += differences(said)
    for line in wrong:
        print(line)
    if said.trouble:
        print(f"the hub could not be asked about all of them: {said.trouble}")
    reached = len(said.there) + len(said.gated) + len(said.gone)
    print(f"{len(listed)} suggestions, {reached} looked at on the hub, {len(wrong)} wrong")
    return 1 if wrong or (chosen.hub and said.trouble) else 0


def few(listed: list[Suggestion]) -> Iterator[str]:
    """Say for which machines there are fewer than six that they can run."""
    for name, (budget, speed) in MACHINES.items():
        count = sum(each.fit is not SizeVerdict.NOWHERE for each in suited(listed, budget, speed))
        if count < SHOWN:
            yield f"{name} is shown {count} models that it can run, not {SHOWN}"


async def asked(listed: list[Suggestion], environ: Mapping[str, str]) -> Checked:
    """Ask the hub, as somebody whom it does not know."""
    known = {name: value for name, value in environ.items() if name not in {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}}
    hub = HubAccess(known, HubTokens(None, {**known, "HF_HOME": os.devnull}))
    try:
        return await checked(hub, listed)
    finally:
        await hub.close()


def differences(said: Checked) -> Iterator[str]:
    """Say what is otherwise on the hub."""
    for listed, now in said.there.items():
        if now.bytes != listed.bytes:
            yield f"{listed.reference}: bytes = {now.bytes:_} on the hub, {listed.bytes:_} in the list"
        if now.projector_bytes != listed.projector_bytes:
            yield f"{listed.reference}: projector_bytes = {now.projector_bytes:_}, not {listed.projector_bytes:_}"
    for listed in said.gated:
        yield f"{listed.reference} is gated: nobody can fetch it with one click"
    for listed, why in said.gone.items():
        yield f"{listed.reference}: {why}"


if __name__ == "__main__":
    sys.exit(main())
