"""Where do programs on this machine keep model files?

Paths only; whether anything is there is not looked at, apart from small settings files in which a program says where it
has put its models. What is known of each program, and from where:

- LM Studio: `models` in its home, which is `~/.lmstudio` or, of older versions, `~/.cache/lm-studio`, or what
  `~/.lmstudio-home-pointer` says (lmstudio-ai/lmstudio-bug-tracker#553); `downloadsFolder` in `settings.json`, there or
  with the system's application data (lmstudio-ai/lms#573, #50); `.internal/bundled-models` comes with it.
- Hugging Face: `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME/hub`, `XDG_CACHE_HOME/huggingface/hub`, else
  `~/.cache/huggingface/hub` (huggingface.co/docs/hub/local-cache). See `hub_cache`.
- llama.cpp: `LLAMA_CACHE`, else a folder `llama.cpp` where caches belong (ggml-org/llama.cpp#7826); newer versions
  use the hub's cache (#20775, #21009).
- Ollama: `OLLAMA_MODELS`, also where a unit of systemd sets it; `OLLAMA_HOME/models`; `~/.ollama/models`;
  `/usr/share/ollama` by its installer, `/var/lib/ollama` on Arch (ollama/ollama#4455, #6668), snap. See `ollama`.
- Jan: `llamacpp/models` in its data folder, `data_folder` in its `settings.json` (janhq/jan#6018, #8412); older
  versions had `~/jan/models` and `~/.config/Jan/data`.
- GPT4All: where docs.gpt4all.io ("Download Path") says; its Python package `~/.cache/gpt4all`.
- text-generation-webui: `user_data/models`, before that `models`, in a folder that people put into their home.
- ClaraCore's own, where `claracore pull` puts them: see `host.places`.
- A folder `models` in the home, because that is what it is called in every guide.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

LM_STUDIO, HUGGING_FACE, LLAMA_CPP, OLLAMA = "LM Studio", "Hugging Face", "llama.cpp", "Ollama"
JAN, GPT4ALL, WEBUI, HOME, OURS = "Jan", "GPT4All", "text-generation-webui", "models folder", "ClaraCore"
MOST_BYTES: Final = 1 << 20
"""Of a settings file."""
OLLAMA_VARIABLE: Final = re.compile(r"""(OLLAMA_[A-Z_]+)=([^"'\n]*)""")
UNIT_ENVIRONMENT: Final = re.compile(r"^\s*Environment=(.*)$", re.MULTILINE)


class StorePlace(NamedTuple):
    """A folder in which a program keeps models, if it is there."""

    store: str
    path: Path


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What decides where programs keep things."""

    home: Path
    environ: Mapping[str, str]
    platform: str = sys.platform
    root: Path = Path("/")

    def named(self, *variables: str) -> Iterator[Path]:
        """Give the paths that variables name."""
        yield from self.texts(*(self.environ.get(variable, "").strip("\"' ") for variable in variables))

    def texts(self, *values: object) -> Iterator[Path]:
        """Give the paths that texts name, with `~` as this user's home, which relative ones are relative to."""
        for value in values:
            if isinstance(value, str) and value and "\0" not in value:
                yield self.home / (value[2:].lstrip("/") if value.startswith("~/") else value)

    @property
    def caches(self) -> list[Path]:
        """Where caches belong."""
        places = [*self.named("XDG_CACHE_HOME"), self.home / ".cache"]
        if self.platform == "darwin":
            places.append(self.home / "Library/Caches")
        return [*places, *self.named("LOCALAPPDATA")]

    @property
    def data(self) -> list[Path]:
        """Where applications keep their data."""
        if self.platform == "darwin":
            return [self.home / "Library/Application Support"]
        places = [*self.named("XDG_DATA_HOME"), self.home / ".local/share"]
        return [*places, *self.named("XDG_CONFIG_HOME"), self.home / ".config", *self.named("APPDATA", "LOCALAPPDATA")]


def places(around: Whereabouts) -> list[StorePlace]:
    """Return where models may be, each place once, the most telling first."""
    found = [
        StorePlace(store, path)
        for store, paths in (
            (LM_STUDIO, _lm_studio(around)),
            (OLLAMA, _ollama(around)),
            (HUGGING_FACE, _hugging_face(around)),
            (LLAMA_CPP, _llama_cpp(around)),
            (JAN, _jan(around)),
            (GPT4ALL, _gpt4all(around)),
            (WEBUI, _webui(around)),
            (OURS, (base / "claracore/models" for base in around.data)),
            (HOME, iter((around.home / "models", around.home / "Models"))),
        )
        for path in paths
    ]
    return list({place.path: place for place in reversed(found)}.values())[::-1]


def _lm_studio(around: Whereabouts) -> Iterator[Path]:
    homes = [around.home / ".lmstudio", around.home / ".cache/lm-studio"]
    homes = [*around.texts(_text(around.home / ".lmstudio-home-pointer").strip()), *homes]
    for folder in (*homes, *(base / "LM Studio" for base in around.data)):
        yield from around.texts(_settings(folder / "settings.json").get("downloadsFolder"))
    for folder in homes:
        yield folder / "models"
        yield folder / ".internal/bundled-models"


def _ollama(around: Whereabouts) -> Iterator[Path]:
    yield from around.named("OLLAMA_MODELS")
    yield from around.texts(unit_of_ollama(around).get("OLLAMA_MODELS"))
    yield from (folder / "models" for folder in around.named("OLLAMA_HOME"))
    yield around.home / ".ollama/models"
    for place in (
        *("usr/share/ollama/.ollama/models", "var/lib/ollama/.ollama/models", "var/lib/ollama/models"),
        *("var/lib/ollama", "var/snap/ollama/common/models"),
    ):
        yield around.root / place


def unit_of_ollama(around: Whereabouts) -> dict[str, str]:
    """Return the variables that systemd gives to Ollama's server; later files of its unit count.

    Ollama's FAQ, "How do I configure Ollama server?": `systemctl edit ollama.service`, `Environment="OLLAMA_HOST=..."`.
    """
    units = around.root / "etc/systemd/system"
    overrides: list[Path] = []
    with contextlib.suppress(OSError):
        overrides = sorted((units / "ollama.service.d").glob("*.conf"))
    lines = [line for file in (units / "ollama.service", *overrides) for line in UNIT_ENVIRONMENT.findall(_text(file))]
    return {name: value.strip() for line in lines for name, value in OLLAMA_VARIABLE.findall(line)}


def _hugging_face(around: Whereabouts) -> Iterator[Path]:
    yield from around.named("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
    yield from (folder / "hub" for folder in around.named("HF_HOME"))
    yield from (folder / "huggingface/hub" for folder in (*around.named("XDG_CACHE_HOME"), around.home / ".cache"))


def _llama_cpp(around: Whereabouts) -> Iterator[Path]:
    yield from around.named("LLAMA_CACHE")
    yield from (folder / "llama.cpp" for folder in around.caches)


def _jan(around: Whereabouts) -> Iterator[Path]:
    for base in around.data:
        for folder in around.texts(_settings(base / "Jan/settings.json").get("data_folder")):
            yield folder / "llamacpp/models"
    for folder in (*(base / "Jan/data" for base in around.data), around.home / "jan"):
        yield folder / "llamacpp/models"
        yield folder / "models"


def _gpt4all(around: Whereabouts) -> Iterator[Path]:
    yield from (base / "nomic.ai/GPT4All" for base in around.data)
    yield around.home / ".cache/gpt4all"


def _webui(around: Whereabouts) -> Iterator[Path]:
    folders: list[Path] = []
    for base in (around.home, around.root / "opt"):
        with contextlib.suppress(OSError):
            folders += sorted(base.glob("text-generation-webui*")) + sorted(base.glob("textgen*"))
    for folder in folders:
        yield folder / "user_data/models"
        yield folder / "models"


def _text(path: Path) -> str:
    """Return what a small file says; nothing for one that is not there or cannot be read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as stream:
            return stream.read(MOST_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def _settings(path: Path) -> dict[str, object]:
    try:
        read = json.loads(_text(path) or "{}")
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def user_whereabouts(home: Path) -> Whereabouts:
    """Return those of this process's user."""
    return Whereabouts(home, os.environ)
