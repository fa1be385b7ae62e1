"""Which types do the answers of the control plane have, for the web interface?

`python tools/ui_types.py` writes the application's OpenAPI schema to `ui/openapi.json` (not kept) and lets
openapi-typescript make `ui/src/lib/api/schema.ts` of it (kept, so that building the interface needs no Python).
`--check` writes nothing and fails when the kept file is out of date.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import cast

from build_ui import UI, environment

from claracore.api.context import Context
from claracore.api.create import create_app

TYPES = UI / "src" / "lib" / "api" / "schema.ts"


def main() -> int:
    """Write or check the types; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the types of the control plane for the web interface.")
    parser.add_argument("--check", action="store_true", help="only tell whether the kept file is up to date")
    check = parser.parse_args().check
    (UI / "openapi.json").write_text(json.dumps(create_app(cast("Context", None)).openapi(), indent=2))
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "schema.ts" if check else TYPES
        status = generate(made)
        if status or not check:
            return status
        if made.read_text() == TYPES.read_text():
            return 0
    print(f"{TYPES} is out of date: run `python tools/ui_types.py`")
    return 1


def generate(target: Path) -> int:
    """Run openapi-typescript; return its exit status."""
    environ = environment()
    if environ is None:
        return 1
    command = ["npx", "--no-install", "openapi-typescript", "openapi.json", "--output", str(target)]
    command += ["--root-types", "--root-types-no-schema-prefix", "--default-non-nullable=false"]
    return subprocess.run(command, cwd=UI, env=environ, check=False, stdout=sys.stderr).returncode


if __name__ == "__main__":
    sys.exit(main())
