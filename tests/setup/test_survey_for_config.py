from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from claracore.host.setup.request import SetupOptions
from claracore.host.setup.settings import SettingsFile, SystemSettings
from claracore.host.setup.survey_for_config import Surveyor


def options(wished: SetupOptions, saved: SystemSettings | None) -> SetupOptions:
    settings = SettingsFile(None)
    if saved is not None:
        settings.save(saved)
    surveyor = Surveyor(cast("Any", None), settings, 5900, None)
    return asyncio.run(surveyor.options(wished))


def test_what_nobody_says_is_left_to_the_machine() -> None:
    assert options(SetupOptions(), None) == SetupOptions(listen_port=5900)
    assert options(SetupOptions(), SystemSettings.model_validate({})) == SetupOptions(listen_port=5900)


def test_what_is_wished_counts_before_what_was_saved() -> None:
    saved = SystemSettings.model_validate(
        {"backend": "vulkan", "vramGB": 8, "ramGB": 16, "preferredContext": 4096, "enableJinja": False}
    )
    found = options(SetupOptions(vram_gb=0.0, context=8192, parallel=2), saved)
    assert (found.backend, found.vram_gb, found.ram_gb, found.context) == ("vulkan", 0.0, 16.0, 8192)
    assert (found.parallel, found.jinja, found.listen_port) == (2, False, 5900)


SERVER = """#!/bin/sh
case $1 in
--version) echo "version: 9000 (abcdef0)";;
--help) for flag in ctx-size n-gpu-layers parallel kv-unified device list-devices; do echo "--$flag X  about"; done;;
--list-devices) echo "Available devices:"; echo "  CUDA0: NVIDIA Card (24576 MiB, 24000 MiB free)";;
esac
"""
PROGRAM = """#!/bin/sh
if [ "$1" = --help ]; then
    for flag in fit-print ctx-size n-gpu-layers device; do echo "--$flag X  about"; done
    exit
fi
echo "CUDA0 3000 0 0 "
echo "Host 60 0 0 "
"""


@pytest.mark.processes
@pytest.mark.skipif(os.name == "nt", reason="shell scripts stand for the engine")
def test_llama_cpp_is_asked_behind_the_answer_and_the_next_one_knows(tmp_path: Path) -> None:
    for name, text in (("llama-server", SERVER), ("llama-fit-params", PROGRAM)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    config = SimpleNamespace(engine=str(tmp_path / "llama-server"), models={})
    sources = SimpleNamespace(one_file=lambda: tmp_path / "config.yaml")
    configuration = cast("Any", SimpleNamespace(sources=sources, now=SimpleNamespace(config=config)))
    surveyor = Surveyor(configuration, SettingsFile(None), 5900, tmp_path / "state")

    models = [Path(".models/smollm2").absolute()]

    async def twice() -> list[str]:
        first = await surveyor.survey(models, SetupOptions(ram_gb=32, context=4096))
        await surveyor.asked()
        second = await surveyor.survey(models, SetupOptions(ram_gb=32, context=4096))
        await surveyor.close()
        return [found.catalog.chosen[0].placement.reason for found in (first, second)]

    before, after = asyncio.run(twice())
    assert "llama.cpp itself" not in before
    assert "llama.cpp itself counts 2." in after
