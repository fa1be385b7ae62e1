"""Where is what ClaraCore remembers between starts, and what if there is no such place?

The folder of the user, by the rules of the system (`$XDG_STATE_HOME`, else ~/.local/state on Linux). A user without a
home, one whose home is not there or somebody else's, a read-only root: then there is none, everything is kept in memory
for as long as ClaraCore runs, and whoever serves says so once.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

from claracore.errors import BadRequest
from claracore.host.disk import private_folder

VARIABLE = "XDG_STATE_HOME"


def state_path() -> Path | None:
    """Return what the folder is called, whether it can be used or not; None for a user without a home."""
    return user_folder(platformdirs.user_state_path)


def user_folder(path_of: Callable[[str], Path]) -> Path | None:
    """Return where platformdirs says that a kind of files belongs; None for a user without a home."""
    try:
        path = path_of("claracore")
    except RuntimeError:  # older versions leave the `~` as it is
        return None
    return None if path.parts[0].startswith("~") else path.absolute()


def default_state_dir() -> Path | None:
    """Return the folder, which is made if there is none; None when nothing can be kept there."""
    path = state_path()
    return path if path is not None and why_unusable(path) is None else None


def needed_state_dir() -> Path:
    """Return the folder. Raises BadRequest when nothing can be kept there."""
    path = default_state_dir()
    if path is None:
        raise BadRequest(f"there is nowhere to keep this: {state_problem()}")
    return path


def state_problem() -> str:
    """Say why there is no folder, and which variable is to be set; empty when there is one."""
    path = state_path()
    if path is None:
        reason: str | None = "this user has no home folder"
    else:
        reason = why_unusable(path)
        reason = None if reason is None else f"{path} cannot be used ({reason})"
    way_out = f"set {VARIABLE} to a folder that this user (uid {_uid()}) may write to"
    return "" if reason is None else f"{reason}; {way_out}"


def home_folder() -> Path:
    """Return the user's home; the root folder for a user without one."""
    home = _home()
    return home if os.path.isdir(home) else Path("/")  # noqa: PTH112 - Path's raises where one may not look


def why_unusable(folder: Path) -> str | None:
    """Say why nothing can be kept in a folder; None when it can be. It is made if there is none, a home never is."""
    home = _home()
    if folder.is_relative_to(home) and not os.path.isdir(home):  # noqa: PTH112 - Path's raises where one may not look
        return f"there is no {home}"
    try:
        private_folder(folder)
    except OSError as error:
        return error.strerror or str(error)
    if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return None
    return "read-only file system" if _is_read_only(folder) else "permission denied"


def runtime_folder() -> Path:
    """Return what the folder for things of this session is called. Raises OSError when there is no place for one."""
    if base := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(base) / "claracore"
    try:
        return Path(tempfile.gettempdir()) / f"claracore-{_uid()}"
    except FileNotFoundError as error:
        raise OSError("this user may write to no temporary folder; set XDG_RUNTIME_DIR to one") from error


def make_private(folder: Path) -> None:
    """Make a folder for this user only. Raises OSError, also for one that somebody else has prepared in /tmp."""
    private_folder(folder)
    found = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or found.st_uid != _uid() or found.st_mode & 0o022:
        raise OSError(f"{folder} is not a folder that only this user may write to")


def _home() -> Path:
    """Return what the home is called, `~` without one."""
    return Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises for a user without one


def _is_read_only(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _uid() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
