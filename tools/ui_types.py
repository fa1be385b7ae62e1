"""Which types do the answers of the control plane have, for the web interface?

`python tools/ui_types.py` lets openapi-typescript make `ui/src/lib/api/schema.ts` of the application's OpenAPI schema.
The file is kept, so that building the interface needs no Python; its first line has a digest of the schema without its
prose. `--check` compares that digest, which needs no Node.js.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from claracore.http.api.create import create_app

ROOT = Path(__file__).resolve().parents[1]
UI = ROOT / "ui"
TYPES = UI / "src" / "lib" / "api" / "schema.ts"
PROSE = frozenset({"description", "title", "summary"})


def main() -> int:
    """Write or check the types; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the types of the control plane for the web interface.")
    parser.add_argument("--check", action="store_true", help="only tell whether the kept file is up to date")
    schema = openapi()
    if not parser.parse_args().check:
        return generate(schema)
    if is_current(schema):
        return 0
    print(f"{TYPES} is out of date: run `python tools/ui_types.py`")
    return 1


def openapi() -> dict[str, Any]:
    """Return the OpenAPI schema of the control plane, without inference; making it needs none of the running parts."""
    return FastAPI.openapi(create_app(()))


def is_current(schema: dict[str, Any]) -> bool:
    """Whether the kept types were made from this schema, apart from its prose."""
    return TYPES.read_text().startswith(first_line(schema))


def first_line(schema: dict[str, Any]) -> str:
    """Return the line that says what the types were made from."""
    text = json.dumps(without_prose(schema["paths"] | schema["components"]), sort_keys=True)
    return f"// Made by tools/ui_types.py from the OpenAPI schema {hashlib.sha256(text.encode()).hexdigest()[:16]}\n"


def without_prose(value: object) -> object:
    """Return a schema without its sentences; a property of such a name is a mapping and stays."""
    match value:
        case dict():
            return {key: without_prose(its) for key, its in value.items() if key not in PROSE or isinstance(its, dict)}
        case list():
            return [without_prose(its) for its in value]
        case _:
            return value


def generate(schema: dict[str, Any]) -> int:
    """Run openapi-typescript; return its exit status."""
    from build_ui import environment  # noqa: PLC0415 - beside this file, and not needed for a check

    environ = environment()
    if environ is None:
        return 1
    (UI / "openapi.json").write_text(json.dumps(schema, indent=2))
    command = ["npx", "--no-install", "openapi-typescript", "openapi.json", "--output", str(TYPES)]
    command += ["--root-types", "--root-types-no-schema-prefix", "--default-non-nullable=false"]
    status = subprocess.run(command, cwd=UI, env=environ, check=False, stdout=sys.stderr).returncode
    if not status:
        TYPES.write_text(first_line(schema) + TYPES.read_text())
    return status


if __name__ == "__main__":
    sys.exit(main())
