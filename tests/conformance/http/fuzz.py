"""An atheris target: no bytes make the gateway raise, hang, or leave a request unfinished.

`make fuzz`, or `PYTHONPATH=src:tests python tests/conformance/http/fuzz.py -max_total_time=600` where atheris is
installed. The conversations of the corpus are the seeds. The first byte of an input says where the rest is split in
two, the second how many answers the model server gives.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from conformance.http.corpus import ALL, OK, SSE
from conformance.http.memory import converse


def one_input(data: bytes) -> None:
    """Hold one conversation; `converse` itself asserts that every request was finished."""
    if len(data) < 3:
        return
    place = 2 + data[0] * len(data) // 256
    asyncio.run(converse([data[2:place], data[place:]], [OK, SSE] * (data[1] % 4)))


def main() -> None:
    """Fuzz for as long as the command line says."""
    atheris = import_module("atheris")  # not installed by default
    seeds = Path(tempfile.mkdtemp(prefix="claracore-fuzz-http-"))
    for number, conversation in enumerate(ALL):
        (seeds / str(number)).write_bytes(bytes((number * 37 % 256, 1)) + conversation.client)
    atheris.instrument_all()
    atheris.Setup([*sys.argv, str(seeds)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
