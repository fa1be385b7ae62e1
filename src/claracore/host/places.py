"""Which configuration is meant, and where do models go, when nobody says?

One order for all verbs: `--config FILE`; `config.yaml` in the working folder, where there is one; else the user's own,
which is where the system keeps configurations (`$XDG_CONFIG_HOME/claracore/config.yaml` on Linux), with models where it
keeps data (`$XDG_DATA_HOME/claracore/models`). A user without a home, or with one that may not be written, has no file
of their own unless it is there already: then the working folder is what is left. Nothing is made here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import platformdirs

from claracore.host.state import user_folder

LOCAL_CONFIG: Final = Path("config.yaml")
DOWNLOADS: Final = "downloads"
"""Beside a configuration that is not the user's own."""
WAYS_OUT: Final = "name a file with --config FILE, or set XDG_CONFIG_HOME to a folder that this user may write to"


def config_file(named: Path | None = None) -> Path:
    """Return the configuration that is meant; it need not exist."""
    if named is not None:
        return named
    own = own_config()
    if own is None or os.path.exists(LOCAL_CONFIG):  # noqa: PTH110 - Path's raises where one may not look
        return LOCAL_CONFIG
    return own if os.path.exists(own) or why_not_made(own.parent) is None else LOCAL_CONFIG  # noqa: PTH110 - as above


def own_config() -> Path | None:
    """Return what the user's own configuration is called, whether it is there or not; None without a home."""
    folder = user_folder(platformdirs.user_config_path)
    return folder / LOCAL_CONFIG if folder is not None else None


def models_folder(config: Path | None, beside: Path) -> Path:
    """Return where models go that a configuration, whose folder is `beside`, says nothing about.

    The user's own configuration has the user's own folder; any other, and a folder of them (None), has one beside it.
    """
    own, data = own_config(), user_folder(platformdirs.user_data_path)
    if data is not None and own is not None and config is not None and _is_same(config, own):
        return data / "models"
    return beside / DOWNLOADS


def why_not_own() -> str | None:
    """Say why the user has no configuration of their own; None when they have or may have one."""
    own = own_config()
    if own is None:
        return "this user has no home folder"
    if os.path.exists(own):  # noqa: PTH110 - as above
        return None
    reason = why_not_made(own.parent)
    return None if reason is None else f"{own.parent} cannot be written: {reason}"


def why_not_made(folder: Path) -> str | None:
    """Say why a folder could not be made and written, without making it; None when it could. A home is never made."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises for a user without one
    if folder.is_relative_to(home) and not os.path.isdir(home):  # noqa: PTH112 - Path's raises where one may not look
        return f"there is no {home}"
    there = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
    if not os.path.isdir(there):  # noqa: PTH112 - as above
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"this user may not write to {there}"


def _is_same(one: Path, other: Path) -> bool:
    return os.path.abspath(one) == os.path.abspath(other)  # noqa: PTH100 - links stay
