"""Which lines of a server that did not start say why, what do they mean, and what is the way out?

A table. What llama.cpp says was seen with build 11434 (tests/loading/logs has what it printed), older words come from
its source. Groups of a pattern fill the sentences: `file`, `flag`, `what`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from claracore.core.loading.failure_kinds import FailureKind


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """One line that is known."""

    kind: FailureKind
    pattern: re.Pattern[str]
    cause: str
    way_out: str


NEWER: Final = "Take a newer llama-server (`claracore doctor` says which one is used)"
AGAIN: Final = "Fetch the file again"


def _row(kind: FailureKind, pattern: str, cause: str, way_out: str) -> KnownFailure:
    return KnownFailure(kind, re.compile(pattern), cause, way_out)


KNOWN: Final = (
    # the loader of the system: glibc, musl, macOS
    _row(
        FailureKind.LIBRARY,
        r"error while loading shared libraries: (?P<what>[^:]+):|Error loading shared library (?P<what2>[^:]+):"
        r"|Library not loaded: (?P<what3>\S+)|ImportError: (?P<what4>\S+): cannot open shared object file",
        "the engine needs {what}, which is not installed here",
        "Install the package that has it, or take another build of the engine: one for this machine's drivers, or "
        "`llama-server` alone in the command, without a path, for the one that was found here",
    ),
    _row(
        FailureKind.LIBRARY,
        r"version `(?P<what>\w+_[\d.]+)' not found|symbol lookup error: .*undefined symbol: (?P<what2>\S+)",
        "the engine was built for a newer system: {what} is not here",
        "Take a build of the engine for this system, or build it here",
    ),
    _row(
        FailureKind.DEVICE,
        r"CUDA driver version is insufficient",
        "the graphics driver is older than the engine's CUDA",
        "Update the driver, or take a build of the engine for an older CUDA",
    ),
    _row(
        FailureKind.DEVICE,
        r"no kernel image is available for execution on the device",
        "the engine was not built for this graphics card",
        "Take a build of the engine that was made for this card's generation",
    ),
    _row(
        FailureKind.DEVICE,
        r"invalid device: (?P<what>\S+)|unknown (?:buffer type|device)[:=] ?(?P<what2>\S+)",
        "the engine has no device {what}",
        "Take the flag out of the command, or take an engine that was built for this kind of card",
    ),
    # common/arg.cpp; argparse (vLLM and others)
    _row(
        FailureKind.FLAG,
        r"error: (?:invalid|unknown) argument: (?P<flag>\S+)|error: unrecognized arguments: (?P<flag2>\S+)"
        r"|error: unknown flag (?P<flag3>\S+)",
        "the engine does not know the flag {flag}",
        "Take it out of the command, or take a llama-server that has it: a newer one, or an older one where it has "
        "got another name",
    ),
    _row(
        FailureKind.NO_FILE,
        r"error while handling argument \"(?P<flag>[^\"]+)\": error: failed to open file '(?P<file>[^']+)'",
        "{file}, which {flag} names, is not there",
        "Correct the path in the command",
    ),
    _row(
        FailureKind.VALUE,
        r"error while handling argument \"(?P<flag>[^\"]+)\": sto\w+",
        "the value of {flag} is no number",
        "Correct it in the command",
    ),
    _row(
        FailureKind.VALUE,
        r"error while handling argument \"(?P<flag>[^\"]+)\": (?P<what>.+)",
        "the engine does not take the value of {flag} ({what})",
        "Correct it in the command",
    ),
    # src/llama-model.cpp; `clip` is what builds before 2025-10 say of a projector
    _row(
        FailureKind.PROJECTOR,
        r"CLIP cannot be used as main model|unknown model architecture: '?clip\b",
        "the file is a projector, which lets a model see or hear, and no model",
        "Name the model's own file with --model, and this one with --mmproj",
    ),
    _row(
        FailureKind.PROJECTOR,
        r"Failed to load CLIP model from (?P<file>.+?)\s*$",
        "{file} is no projector that the engine can read",
        "Name a projector (mmproj) of this very model with --mmproj, or take --mmproj out of the command",
    ),
    _row(
        FailureKind.OLD_ENGINE,
        r"unknown model architecture: '?(?P<what>[^'\s]+)",
        "the engine does not know models of the kind {what}",
        f"{NEWER}, or another model",
    ),
    _row(
        FailureKind.OLD_ENGINE,
        r"unknown pre-tokenizer type: '(?P<what>[^']+)'",
        "the engine does not know the model's way to split text ({what})",
        f"{NEWER}, or another model",
    ),
    _row(
        FailureKind.OLD_ENGINE,
        r"tensor '[^']+' (?:of type \d+ \([^)]*\)|has invalid ggml type (?P<what>\d+))",
        "the engine does not know how the file's numbers are stored",
        f"{NEWER}, or another quantization of the model",
    ),
    _row(
        FailureKind.OLD_ENGINE,
        r"this GGUF file is version (?P<what>\d{1,3}) but|unsupported (?:GGUF )?version",
        "the file's format is newer than the engine",
        NEWER,
    ),
    # src/llama-model-loader.cpp
    _row(
        FailureKind.SHARD,
        r"failed to load GGUF split from (?P<file>.+?)\s*$",
        "a part of the model is missing: {file}",
        "Fetch the missing part into the same folder",
    ),
    _row(
        FailureKind.SHARD,
        r"(?:invalid|illegal) split file (?:idx|name)?:? ?(?P<what>\d+)?.*",
        "the command names a later part of a model that comes in several files",
        "Name the first part (-00001-of-...): the others are found beside it",
    ),
    _row(
        FailureKind.SHARD,
        r"invalid split count",
        "parts of the model are missing, or are of another model",
        "Fetch all parts into one folder",
    ),
    _row(
        FailureKind.CUT,
        r"data is not within the file bounds|failed to read tensor data"
        r"|unexpectedly reached end of file|tensor data.*out of bounds",
        "the file is cut off or damaged",
        f"{AGAIN}: its end is missing",
    ),
    _row(
        FailureKind.CUT,
        r"failed to read (?:key-value pairs|tensor info)|this GGUF file is version \d{4,} but",
        "the file is cut off or damaged",
        f"{AGAIN}: what it says of itself, at its beginning, cannot be read",
    ),
    _row(
        FailureKind.NOT_A_MODEL,
        r"invalid magic (?:characters|number)|bad magic|unknown \(magic, version\)|is not a GGUF file",
        "the file is no GGUF",
        "Name a GGUF file, or fetch it again: perhaps a web page was saved in its place",
    ),
    _row(
        FailureKind.NOT_A_MODEL,
        r"failed to read magic",
        "the file is empty, or a folder",
        f"{AGAIN}, or name the file in the folder",
    ),
    _row(
        FailureKind.CLOSED_FILE,
        r"failed to open (?:GGUF file )?'?(?P<file>[^':]+?)'?[:]? \(?Permission denied"
        r"|cannot read model file '(?P<file2>[^']+)': Permission denied",
        "{file} may not be read by the user whom ClaraCore runs as",
        "Let that user read it (chmod a+r), and pass through its folders (chmod a+x)",
    ),
    _row(
        FailureKind.NO_FILE,
        r"failed to open (?:GGUF file )?'?(?P<file>[^':]+?)'?[:]? \(?No such file or directory"
        r"|cannot read model file '(?P<file2>[^']+)': No such file",
        "{file} is not there",
        "Correct the path in the command; where a disk is missing, mount it",
    ),
    _row(
        FailureKind.CUT,
        r"tensor '(?P<what>[^']+)' not found|missing tensor '(?P<what2>[^']+)'|wrong number of tensors",
        "the file lacks a part of the model, or the engine is too old for it",
        f"{AGAIN}. If it is whole: {NEWER[0].lower()}{NEWER[1:]}",
    ),
    _row(
        FailureKind.CUT,
        r"key not found in model: (?P<what>\S+)",
        "the file does not say {what}, which the engine needs",
        "Take a file of this model that somebody else has converted",
    ),
)
