"""When is the build of an engine before the one in use taken again, by itself?

Every start that becomes ready is written down with the build that did it (`loaded.json` in the build's folder). When a
start fails with the build in use, which never loaded that model, and the one before has loaded it with the same
command, the one before is in use again, which is said as loudly as a log can, and the start is made once more.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from claracore.core.config.model import ModelConfig
from claracore.errors import ClaraCoreError
from claracore.host.engines.folder import engines_folder

if TYPE_CHECKING:  # what is of no use where no engine is installed is imported when one is asked about
    from claracore.core.engines.installed import InstalledEngine
    from claracore.core.engines.rollback import Proof
    from claracore.host.engines.installed import EngineFolders

LONGEST_REASON: Final = 500

logger = logging.getLogger("claracore.engines")


class EngineGuard:
    """Remembers which build has loaded which model, and goes back to the one before. Blocking, for any thread."""

    def __init__(self, root: Path | None, changed: Callable[[], None] = lambda: None) -> None:
        """Take the folder of engines, and who is told, in whichever thread, that another build is in use."""
        self._root = root
        self.changed = changed
        self._lock = threading.Lock()
        self._written: set[tuple[str, Proof]] = set()

    @property
    def _folders(self) -> EngineFolders:
        from claracore.host.engines.installed import EngineFolders  # noqa: PLC0415 - see above

        return EngineFolders(self._root)

    def became_ready(self, model: ModelConfig, program: str) -> None:
        """Write down that a program has loaded a model, where it is that of an installed build. Raises nothing."""
        with self._lock:
            engine = self._engine_of(program)
            if engine is None or (engine.id, proof := proof_of(model)) in self._written:
                return
            proofs = self._folders.proofs(engine)
            if proof not in proofs:
                self._folders.keep_proofs(engine, [*proofs, proof])
            self._written.add((engine.id, proof))

    def failed(self, model: ModelConfig, program: str, error: ClaraCoreError) -> bool:
        """Whether a start is to be made once more, because the build before is in use again. Raises nothing."""
        with self._lock:
            try:
                return self._failed(model, program, error)
            except ClaraCoreError as problem:
                logger.warning("the engine before could not be taken again: %s", problem.message)
                return False

    def _failed(self, model: ModelConfig, program: str, error: ClaraCoreError) -> bool:
        engine = self._engine_of(program)
        if engine is None:
            return False
        from claracore.core.engines.installed import RolledBack  # noqa: PLC0415 - see above
        from claracore.core.engines.rollback import FailedStart, is_fault_of_engine  # noqa: PLC0415 - see above

        with self._folders.changing():
            use = self._folders.use()
            if use.current.get(engine.name) != engine.id:
                return False
            before = self._folders.find(use.previous.get(engine.name, ""))
            kind = error.explained.kind if error.explained is not None else ""
            start = FailedStart(proof_of(model), kind)
            if before is None or not is_fault_of_engine(
                start, self._folders.proofs(engine), self._folders.proofs(before)
            ):
                return False
            reason = error.message.partition("\n")[0][:LONGEST_REASON]
            self._folders.keep_use(use.back(engine.name, RolledBack(engine.id, model.id, reason, time.time())))
        logger.error(
            "ENGINE ROLLED BACK: %s cannot load model %s, which %s could; %s is in use again. %s",
            engine.id, model.id, before.id, before.id, reason,
        )  # fmt: skip
        self.changed()
        return True

    def _engine_of(self, program: str) -> InstalledEngine | None:
        """Return the installed build that a program belongs to."""
        path = Path(program)
        if self._root is None or not path.is_relative_to(self._root) or path == self._root:
            return None
        return self._folders.find(path.relative_to(self._root).parts[0])


def proof_of(model: ModelConfig) -> Proof:
    """Return what tells one start of a model from those with another command or environment."""
    from claracore.core.engines.rollback import Proof  # noqa: PLC0415 - see above

    text = "\n".join((model.cmd, *map(str, model.env)))
    return Proof(model.id, hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24])


def user_guard() -> EngineGuard:
    """Return the guard of this user's engines."""
    return EngineGuard(engines_folder())
