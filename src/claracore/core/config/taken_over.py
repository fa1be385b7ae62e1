"""What of another program's settings does a configuration of ours say, and what does it leave to a person?

Pure: the text of a configuration and settings to a text, with a sentence for each setting. What the text says already
is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from claracore.core.config.durations import parse_seconds
from claracore.core.config.edit import put
from claracore.core.config.lines import KeyPath, read_plain

OLLAMA_PORT: Final = 11434
OLLAMA_KEEPS: Final = "5m"
"""How long Ollama keeps a model that nobody uses, if nobody says (docs/faq.mdx, "How do I keep a model loaded")."""
LM_STUDIO_KEEPS: Final = "60m"
"""The same for LM Studio, of models that a request has loaded (lmstudio.ai/docs, "Idle TTL and Auto-Evict")."""
ELSEWHERE: Final = {
    "OLLAMA_CONTEXT_LENGTH": "the context of each model is planned by memory; for all: claracore setup --ctx {value}",
    "OLLAMA_NUM_PARALLEL": "requests at a time: claracore setup --parallel {value}",
    "OLLAMA_MAX_LOADED_MODELS": "memory decides how many models stay loaded",
    "OLLAMA_ORIGINS": "pages that may use the models: claracore --cors-origin ORIGIN",
    "OLLAMA_KV_CACHE_TYPE": "the types of the cache are planned by memory (--cache-type-k in a cmd)",
    "OLLAMA_FLASH_ATTENTION": "on wherever the engine can",
    "OLLAMA_MAX_QUEUE": "requests wait for as long as their client does",
}
"""What a variable of Ollama's is here."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The new text, and a sentence for each setting: what became of it, or where it is to be said."""

    text: str
    sentences: tuple[str, ...]


class _Addition:
    """A text that is added to."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sentences: list[str] = []

    def add(self, path: KeyPath, value: object, why: str) -> None:
        """Say something where nothing is said yet."""
        there: object = read_plain(self.text)
        for key in path:
            there = there.get(key) if isinstance(there, Mapping) else None
        shown = ".".join(map(str, path))
        if there is not None:
            self.sentences.append(f"{shown} stays {there}")
            return
        self.text = put(self.text, path, value)
        self.sentences.append(f"{shown}: {value} ({why})")

    def taken(self) -> TakenOver:
        """Return what came of it."""
        return TakenOver(self.text, tuple(self.sentences))


def from_ollama(text: str, settings: Mapping[str, str]) -> TakenOver:
    """Take over the variables of Ollama's server: its port for its clients, and how long it keeps models.

    Raises Unreadable if `text` is no YAML, EditRefused if it cannot be added to.
    """
    new = _Addition(text)
    _address(new, settings.get("OLLAMA_HOST", ""))
    _kept(new, settings.get("OLLAMA_KEEP_ALIVE", ""), OLLAMA_KEEPS, "OLLAMA_KEEP_ALIVE", "Ollama's own")
    for name, where in ELSEWHERE.items():
        if value := settings.get(name):
            new.sentences.append(f"{name}={value}: {where.format(value=value)}")
    return new.taken()


def from_lm_studio(text: str) -> TakenOver:
    """Take over how long LM Studio keeps models. Raises as `from_ollama`."""
    new = _Addition(text)
    _kept(new, "", LM_STUDIO_KEEPS, "", "LM Studio's own")
    return new.taken()


def _address(new: _Addition, host: str) -> None:
    """Be where clients of Ollama look, on this machine only: who opens a port to others says so themselves."""
    name, _, port = host.strip().rpartition("//")[2].rstrip("/").rpartition(":")
    if not port.isdecimal():
        name, port = host.strip().rpartition("//")[2].rstrip("/"), str(OLLAMA_PORT)
    new.add(("ollama", "listen"), f"127.0.0.1:{port}", "where clients of Ollama look")
    if name.strip("[]") not in {"", "127.0.0.1", "localhost", "::1"}:
        new.sentences.append(f"OLLAMA_HOST={host}: others reach this machine only if ollama.listen is :{port}")


def _kept(new: _Addition, value: str, usual: str, variable: str, whose: str) -> None:
    path = ("globalTTL",)
    if not value:
        new.add(path, int(parse_seconds(usual)), f"{whose}: {usual}")
    elif value.startswith("-"):
        new.add(path, 0, f"{variable}={value}: never")
    elif (seconds := _seconds(value)) is None:
        new.sentences.append(f"{variable}={value} is not understood: globalTTL is how long models stay unused")
    else:
        # Ours has no "at once": 0 means never.
        new.add(path, max(1, round(seconds)), f"{variable}={value}")


def _seconds(text: str) -> float | None:
    try:
        return parse_seconds(text)
    except ValueError:
        return None
