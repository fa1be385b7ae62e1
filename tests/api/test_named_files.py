"""What the files of models say, whether they run or not."""

from __future__ import annotations

import sys
from pathlib import Path

from e2e.instance import configured, fake, instance

ENGINE = f'"{sys.executable}" -P -m claracore engine --host 127.0.0.1 --port ${{PORT}} --fit off'


def test_files_are_told_of_those_that_name_some(tmp_path: Path, smollm2: Path) -> None:
    lines = f"""
models:
  small: {{cmd: '{ENGINE} -m "{smollm2}" -c 2048'}}
  gone: {{cmd: '{ENGINE} -m "{tmp_path}/gone.gguf"'}}
  script: {{cmd: '{fake()}'}}
"""
    configured(tmp_path, lines)
    with instance(tmp_path) as server:
        found = server.ask("GET", "/api/model-files").json["models"]
    assert set(found) <= {"small", "gone"}
    small = found["small"]
    assert small["size_bytes"] == smollm2.stat().st_size
    assert (small["architecture"], small["quantization"]) == ("llama", "Q4_1")
    assert 134e6 < small["parameters"] < 136e6
    assert (small["context"], small["context_trained"]) == (2048, 8192)
