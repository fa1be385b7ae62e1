from __future__ import annotations

import asyncio
from typing import Any, cast

from claracore.host.setup.request import SetupOptions
from claracore.host.setup.settings import SettingsFile, SystemSettings
from claracore.host.setup.surveyor import Surveyor


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
