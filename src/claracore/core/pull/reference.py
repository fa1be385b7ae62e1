"""What does a person mean who writes a model of the hub?

`org/repo`, `org/repo:Q4_K_M`, `org/repo@revision`, `org/repo/file.gguf`, the same after `hf.co/` or `hf://`, the
address of a page or file in a browser, or a command that was copied from somewhere (`llama-server -hf org/repo:Q8_0`,
`ollama run hf.co/org/repo`). Pure: nothing is asked of the hub.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit

from claracore.errors import BadRequest

HUB: Final = "https://huggingface.co"
HUB_HOSTS: Final = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
MAIN: Final = "main"
LONGEST: Final = 2_000
REPO_FLAGS: Final = frozenset({"-hf", "-hfr", "--hf-repo", "--hf"})
FILE_FLAGS: Final = frozenset({"-hff", "--hf-file"})
LATEST: Final = "latest"
"""What ollama writes for "whatever is usual"."""

FORMS: Final = "write ORG/REPO, ORG/REPO:QUANTIZATION, or the address of a .gguf file on the hub"

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_QUANTIZATION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BAD_IN_PATH: Final = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


@dataclass(frozen=True, slots=True)
class Reference:
    """A model on the hub; what is None is left to us."""

    repo: str
    quantization: str | None = None
    file: str | None = None
    """Path of one file in the repository; other shards of the same model come with it."""
    revision: str = MAIN
    source: Literal["hub", "ollama", "head"] = "hub"
    """Where it is: in Ollama's registry `repo` is NAMESPACE/MODEL and `revision` the tag; on the machine that this one
    has joined `repo` is the model."""

    @property
    def page(self) -> str:
        """The address of its page in a browser; empty where it has none."""
        if self.source == "head":
            return ""
        return f"https://ollama.com/{quote(self.repo)}" if self.source == "ollama" else f"{HUB}/{quote(self.repo)}"

    def __str__(self) -> str:
        if self.source == "head":
            return f"{self.repo} of the head"
        if self.source == "ollama":
            return f"{self.repo.removeprefix('library/')}:{self.revision}"
        revision = "" if self.revision == MAIN else f"@{self.revision}"
        if self.file is not None:
            return f"{self.repo}{revision}/{self.file}"
        return f"{self.repo}{revision}:{self.quantization}" if self.quantization else f"{self.repo}{revision}"


def is_safe_path(path: str) -> bool:
    """Whether a path of the hub can be a path here: no part of it climbs, hides, or means something to a system."""
    parts = path.split("/")
    return (
        len(path) <= 1_000
        and _BAD_IN_PATH.search(path) is None
        and all(part and not part.startswith((".", "~", " ")) and not part.endswith((".", " ")) for part in parts)
        and all(len(part.encode("utf-8", "replace")) <= 240 for part in parts)
    )


def quoted(path: str) -> str:
    """Return a path of the hub as it stands in an address."""
    return quote(path, safe="/")


def parse(text: str, *, hosts: Iterable[str] = ()) -> Reference:
    """Read a reference; `hosts` are names of the hub beside its own. Raises BadRequest with the forms that are read."""
    words = text.strip()
    if not words or len(words) > LONGEST:
        raise _unreadable(text)
    if any(letter.isspace() for letter in words) or words.startswith("-"):
        return _of_command(words, frozenset(hosts))
    return _of_word(words, frozenset(hosts))


def _unreadable(text: str, why: str = "") -> BadRequest:
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    return BadRequest(f"{shown!r} names no model on the hub{f': {why}' if why else ''}; {FORMS}", param="ref")


def _of_command(text: str, hosts: frozenset[str]) -> Reference:
    """Find the model in a command line of llama.cpp or ollama."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise _unreadable(text, str(error)) from error
    repo, file = _flag(words, REPO_FLAGS), _flag(words, FILE_FLAGS)
    if (
        repo is None
        and len(words) >= 3
        and words[-3:-1] in (["ollama", "run"], ["ollama", "pull"], ["claracore", "pull"])
    ):
        repo = words[-1]
    if repo is None:
        raise _unreadable(text)
    found = _of_word(repo, hosts)
    if file is None:
        return found
    if found.file is not None or not is_safe_path(file):
        raise _unreadable(text, f"{file!r} is no file of the repository")
    return Reference(found.repo, None, file, found.revision)


def _flag(words: Sequence[str], names: frozenset[str]) -> str | None:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in names and (value or following):
            return value if equals else following
    return None


def _of_word(word: str, hosts: frozenset[str]) -> Reference:
    if word.lower().startswith("hf://"):
        return _of_path(word[5:], word)
    if "://" in word:
        return _of_address(word, hosts)
    first, slash, rest = word.partition("/")
    if slash and first.lower() in HUB_HOSTS | hosts:
        # A browser's address without its scheme, or ollama's spelling.
        return _of_address(f"https://{first}/{rest}", hosts)
    return _of_path(word, word)


def _of_address(word: str, hosts: frozenset[str]) -> Reference:
    try:
        parts: SplitResult = urlsplit(word)
        host, authority = (parts.hostname or "").lower(), parts.netloc.lower()
    except ValueError as error:
        raise _unreadable(word, str(error)) from error
    if parts.scheme.lower() not in {"http", "https"} or not (host in HUB_HOSTS or {host, authority} & hosts):
        raise _unreadable(word, f"{host or parts.scheme} is not the hub (HF_ENDPOINT names another one)")
    steps = [unquote(step) for step in parts.path.split("/") if step]
    if len(steps) >= 4 and steps[2] in {"resolve", "blob", "raw", "tree"}:
        return _of_page(word, steps)
    return _of_path("/".join(steps), word)


def _of_page(word: str, steps: Sequence[str]) -> Reference:
    """Read `org/repo/blob/REVISION/path`; a folder (`tree`) stands for its repository."""
    repo, kind, revision, path = "/".join(steps[:2]), steps[2], steps[3], "/".join(steps[4:])
    if revision == "refs" and len(steps) >= 6:  # refs/pr/3, refs/convert/...
        revision, path = "/".join(steps[3:6]), "/".join(steps[6:])
    if kind == "tree":
        return _checked(word, repo, None, None, revision)
    if not path.lower().endswith(".gguf"):
        raise _unreadable(word, "only .gguf files can be served")
    return _checked(word, repo, None, path, revision)


def _of_path(path: str, word: str) -> Reference:
    """Read `org/repo[@revision][/file.gguf][:quantization]`."""
    path = path.rstrip("/")
    steps = path.split("/")
    if len(steps) < 2:
        raise _unreadable(word, "the organisation is missing")
    org, rest = steps[0], "/".join(steps[1:])
    if rest.lower().endswith(".gguf") and (found := re.fullmatch(r"([^/:@]+)(?:@([^/:]+))?[/:](.+)", rest)):
        return _checked(word, f"{org}/{found[1]}", None, found[3], found[2] or MAIN)
    found = re.fullmatch(r"([^/:@]+)(?:@([^:]+))?(?::([^/:@]+))?", rest)
    if found is None:
        raise _unreadable(word)
    quantization = found[3] if found[3] and found[3].lower() != LATEST else None
    return _checked(word, f"{org}/{found[1]}", quantization, None, found[2] or MAIN)


def _checked(word: str, repo: str, quantization: str | None, file: str | None, revision: str) -> Reference:
    for name in repo.split("/"):
        if _NAME.fullmatch(name) is None or "--" in name or ".." in name:
            raise _unreadable(word, f"{name!r} is no name on the hub")
    if _REVISION.fullmatch(revision) is None:
        raise _unreadable(word, f"{revision!r} is no revision")
    if quantization is not None and _QUANTIZATION.fullmatch(quantization) is None:
        raise _unreadable(word, f"{quantization!r} is no quantization")
    if file is not None and not is_safe_path(file):
        raise _unreadable(word, f"{file!r} cannot be a file here")
    return Reference(repo, quantization, file, revision)
