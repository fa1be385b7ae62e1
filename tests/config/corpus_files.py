"""The corpus: each file tells in lines that begin with `#!` what is to be expected of it.

`#! env NAME=value` sets a variable; `#! error 4:10 models.x.ttl: found 'abc'` is a finding (all errors and warnings are
listed); `#! models.x.ttl = 300` is an effective value (all that are not at their default are listed).
`#! not-in-schema` says that it loads although the schema refuses it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from claracore.core.config.load import LoadedConfig, load
from claracore.core.config.show import shown_options

CORPUS = Path(__file__).parent / "corpus"
MARK = "#! "


@dataclass(frozen=True)
class Case:
    path: Path

    def __str__(self) -> str:
        return self.path.stem

    @property
    def text(self) -> str:
        return self.path.read_bytes().decode()

    @property
    def lines(self) -> list[str]:
        return [line.removeprefix(MARK).rstrip("\r") for line in self.text.split("\n") if line.startswith(MARK)]

    @property
    def env(self) -> dict[str, str]:
        pairs = [line.removeprefix("env ").replace(r"\n", "\n") for line in self.lines if line.startswith("env ")]
        return dict(pair.split("=", 1) for pair in pairs)

    @property
    def in_schema(self) -> bool:
        return "not-in-schema" not in self.lines

    @property
    def expected(self) -> list[str]:
        return [line for line in self.lines if not line.startswith("env ") and line != "not-in-schema"]

    def load(self) -> LoadedConfig:
        return load(self.text, file=self.path.name, env=self.env)

    def found(self) -> list[str]:
        """What loading tells, in the corpus's own words."""
        loaded = self.load()
        told = [
            f"{f.severity} {f.place.line if f.place else 0}:{f.place.column if f.place else 0} {f.path}: {f.message}"
            for f in loaded.findings
            if f.severity != "note"
        ]
        if loaded.config is not None:
            shown = shown_options(loaded, loaded.config, env={})
            told += [f"{row.name} = {json.dumps(row.value, ensure_ascii=False)}" for row in shown]
        return told


VALID = [Case(path) for path in sorted((CORPUS / "valid").glob("*.yaml"))]
INVALID = [Case(path) for path in sorted((CORPUS / "invalid").glob("*.yaml"))]
