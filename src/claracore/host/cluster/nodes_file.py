"""Where is remembered which machines have joined, and which one this machine has joined?

`nodes.json` in the state folder, readable for its owner only: the keys of the nodes are in it. Each change holds a lock
beside it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from claracore.core.cluster.joined import HeadOfNode, JoinedNode, Parted, Remembered
from claracore.host.disk import keep_private, private_folder
from claracore.host.locks import locked
from claracore.host.store.files import FileUnusable, unwritable

FILE: Final = "nodes.json"


class NodesFile:
    """What is remembered of other machines; without a state folder only for as long as this run lasts."""

    def __init__(self, state_dir: Path | None) -> None:
        self._path = state_dir / FILE if state_dir is not None else None
        self._kept = Remembered()
        self._alone = threading.Lock()

    def load(self) -> Remembered:
        """Return what is remembered. Raises FileUnusable."""
        if self._path is None:
            return self._kept
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Remembered()
        except OSError as error:
            raise FileUnusable(f"{self._path} cannot be read: {error.strerror or error}") from error
        try:
            return _from_disk(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FileUnusable(
                f"{self._path} is damaged ({error}); restore it, or delete it and let the machines join again"
            ) from error

    def change(self, edit: Callable[[Remembered], Remembered]) -> Remembered:
        """Remember what `edit` makes of what is remembered; return it. Raises FileUnusable, DiskFull, and as `edit`."""
        with self._locked():
            changed = edit(self.load())
            if self._path is None:
                self._kept = changed
            else:
                keep_private(self._path, json.dumps(_to_disk(changed), indent=2).encode())
        return changed

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._path is None:
            with self._alone:
                yield
            return
        try:
            private_folder(self._path.parent)
            with locked(self._path.with_suffix(".lock")):
                yield
        except OSError as error:
            raise unwritable(self._path, error) from error


def joined_names(state_dir: Path | None) -> frozenset[str]:
    """Return the names of the machines that have joined; none where that cannot be read."""
    try:
        return frozenset(node.name for node in NodesFile(state_dir).load().nodes)
    except FileUnusable:
        return frozenset()


def _to_disk(what: Remembered) -> dict[str, Any]:
    return {
        "nodes": [asdict(node) for node in what.nodes],
        "invitations": [{"sha256": digest, "until": until} for digest, until in what.invitations],
        "drained": sorted(what.drained),
        "head": asdict(what.head) if what.head is not None else None,
        "address": what.address,
        "cluster": what.cluster,
        "parted": asdict(what.parted) if what.parted is not None else None,
    }


def _from_disk(found: dict[str, Any]) -> Remembered:
    """Read the file's content. Raises ValueError, KeyError, TypeError or AttributeError."""
    head, parted = found.get("head"), found.get("parted")
    return Remembered(
        tuple(JoinedNode(**each) for each in found.get("nodes", ())),
        tuple((str(each["sha256"]), float(each["until"])) for each in found.get("invitations", ())),
        frozenset(map(str, found.get("drained", ()))),
        HeadOfNode(**head) if head is not None else None,
        str(found.get("address", "")),
        str(found.get("cluster", "")),
        Parted(**parted) if parted is not None else None,
    )
