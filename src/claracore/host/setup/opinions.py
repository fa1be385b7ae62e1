"""What has llama.cpp's own program said about our plans, and what is still to be asked?

Answers are remembered in the state folder for this build of the program, the model file as it is and the devices: a
set-up that is made again is the same without asking. Questions are asked by several threads, for so many seconds in
all; a set-up of a server asks none before it answers, and all behind it.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from claracore.core.fit.asking import Asking
from claracore.core.fit.case import Case
from claracore.core.fit.fit_params import Ask, FitAnswer, FitProgram, FitQuestion, read_answer
from claracore.core.fit.machine import Hardware
from claracore.core.fit.opinion import SecondOpinion, second_opinion
from claracore.core.fit.plan import Placement
from claracore.host.engines.find import Engine
from claracore.host.engines.fit_params import FitBinary, FitRunner, fit_binary
from claracore.host.state_file import StateFile, typed

FILE: Final = "second_opinions.json"
VERSION: Final = 1
MOST_ANSWERS: Final = 1000
THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Planned:
    """One plan to ask about: of which file, for what it was made, and for which machine."""

    path: Path
    case: Case
    placement: Placement
    hardware: Hardware


class KeptAnswers(msgspec.Struct):
    """The file's contents; the answers that were given last are the last."""

    version: int
    answers: dict[str, FitAnswer]


class Answers:
    """Answers by the name of their question; for any thread."""

    def __init__(self, state_dir: Path | None) -> None:
        """Without a state folder they are remembered for as long as the object lives."""
        path = state_dir / FILE if state_dir is not None else None
        self._file = StateFile(path, typed(KeptAnswers), version=VERSION, without="llama.cpp is asked anew about plans")
        self._lock = threading.Lock()
        self._new: dict[str, FitAnswer] = {}
        self._known = _answers_of(self._file.read())

    def get(self, key: str) -> FitAnswer | None:
        """Return a remembered answer."""
        with self._lock:
            return self._new.get(key) or self._known.get(key)

    def add(self, key: str, answer: FitAnswer) -> None:
        """Remember an answer, on disk when `save` is called."""
        with self._lock:
            self._new[key] = answer

    def save(self) -> None:
        """Write down what is new."""
        with self._lock:
            new, self._new = self._new, {}
            self._known |= new
        if new:
            kept = self._file.change(lambda kept: _with_answers(_answers_of(kept), new))
            with self._lock:
                self._known |= kept.answers


def _with_answers(known: dict[str, FitAnswer], new: dict[str, FitAnswer]) -> KeptAnswers:
    return KeptAnswers(VERSION, dict(list({**known, **new}.items())[-MOST_ANSWERS:]))


def _answers_of(kept: KeptAnswers | None) -> dict[str, FitAnswer]:
    return kept.answers if kept is not None else {}


class SecondOpinions:
    """Asks about plans for one machine and one engine, and remembers."""

    def __init__(self, engine: Engine | None, state_dir: Path | None, *, seconds: float = 0.0) -> None:
        """`seconds` is how long may be asked in all; with 0 only what is remembered counts."""
        self._binary: FitBinary | None = fit_binary(engine) if engine is not None else None
        self._answers = Answers(state_dir)
        self._seconds = seconds
        self._runner: FitRunner | None = None
        self._closed = threading.Event()
        self._missed: dict[str, Planned] = {}

    def about(self, plans: Mapping[str, Planned]) -> dict[str, SecondOpinion]:
        """Return what is said of each plan, by the same names. Blocking, no longer than the seconds that were given."""
        if self._binary is None or not plans or self._closed.is_set():
            return {}
        self._runner = FitRunner(self._binary, time.monotonic() + self._seconds)
        names = list(plans)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="second-opinion") as pool:
            found = list(pool.map(lambda name: self._one(name, plans[name]), names))
        self._answers.save()
        return dict(zip(names, found, strict=True))

    def one(self, plan: Planned) -> SecondOpinion:
        """Return what is said of one plan. Blocking, no longer than the seconds that were given."""
        return self.about({"": plan}).get("") or SecondOpinion(plan.placement)

    @property
    def is_open(self) -> bool:
        """Whether there were questions for which there was no time."""
        return bool(self._missed)

    def go_on(self, seconds: float) -> None:
        """Ask what was not asked, so that it is remembered. Blocking, no longer than that."""
        self._seconds = seconds
        plans, self._missed = self._missed, {}
        self.about(plans)

    def close(self) -> None:
        """End what is being asked; from any thread."""
        self._closed.set()
        if self._runner is not None:
            self._runner.close()

    def _one(self, name: str, plan: Planned) -> SecondOpinion:
        if self._binary is None:
            return SecondOpinion(plan.placement)
        program = FitProgram(self._binary.flags, str(plan.path))
        ask = self._ask(self._binary, name, plan)
        return second_opinion(plan.case, plan.placement, Asking(program, plan.hardware, ask))

    def _ask(self, binary: FitBinary, name: str, plan: Planned) -> Ask:
        """Return how one model is asked about: what is remembered first."""
        devices = [(gpu.device, gpu.total_bytes) for gpu in plan.hardware.gpus]
        about = (binary.stamp, _stamp(plan.path), repr(devices))

        def ask(question: FitQuestion) -> FitAnswer | None:
            key = _key((*about, *question.about))
            answer = self._answers.get(key)
            if answer is not None or not question.askable or self._runner is None:
                return answer
            if not self._runner.may_run:
                self._missed[name] = plan
                return None
            text = self._runner.run(question.words)
            answer = read_answer(text) if text is not None else None
            if answer is not None:
                self._answers.add(key, answer)
            return answer

        return ask


def _key(parts: Sequence[str]) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return os.fspath(path)
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"
