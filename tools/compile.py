"""How does what every request and every chunk passes through become machine code?

    pip install .        python tools/compile.py FOLDER

mypyc compiles the modules as they are: nothing is written twice, and without a compiler everything works the same. What
it brings is in docs/performance.md. Needs mypy, setuptools, a C compiler and Python's headers; 40 s on one core.

Listed is what is in the way of each request and has no class that pydantic, msgspec or a test's double must see
through. One thing is to be minded in these modules: mypyc believes mypy where that still takes an attribute for what it
was before a method of the same object was called, and raises TypeError when it is something else by then. So what is
looked at again after such a call is looked at in a method of its own. And `= None` in a class leaves an attribute
undefined whose type has three parts (`bytes | memoryview | None`): that one is set in the constructor. `make
test-compiled` finds what slips through.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "core/scheduler": "core notes settle slot state",
    "host/activity": "answer_ends counts database journal measures record sessions swap_history writer",
    "host/supervisor": "loop wake",
    "http/access": "admitted",
    "http/gateway": (
        "admission alarm answer budget clients collected connect connection contract dispatch exchange heads "
        "elsewhere incoming inflight inside loading ollama_answers pool relay request resolver routes sending server "
        "targets tasks upstream"
    ),
    "http/wire": "framing head json_spans ollama_lines request_id",
}
MODULES = [f"src/claracore/{room}/{name}.py" for room, names in ROOMS.items() for name in names.split()]


def compile_into(folder: Path) -> None:
    """Compile into `folder`, laid out as the wheel is.

    Raises ImportError without mypy or setuptools; SystemExit or setuptools' errors when the compiler says no.
    """
    from mypyc.build import mypycify  # noqa: PLC0415 - not everywhere, and only needed here
    from setuptools import Distribution  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    os.chdir(ROOT)  # mypy names modules by their path from here
    if linker := sysconfig.get_config_var("LDSHARED"):  # a Python built with a search path of its own hands it on
        os.environ["LDSHARED"] = " ".join(word for word in linker.split() if "-rpath" not in word)
    with tempfile.TemporaryDirectory() as between:
        extensions = mypycify(
            ["--config-file=pyproject.toml", *MODULES],
            opt_level="3",
            debug_level="0",
            target_dir=between,
            group_name="claracore",
        )
        command = build_ext(Distribution({"name": "claracore", "ext_modules": extensions}))
        command.build_lib, command.build_temp = str(folder), between
        command.ensure_finalized()
        command.run()


if __name__ == "__main__":
    compile_into(Path(sys.argv[1]).resolve())
