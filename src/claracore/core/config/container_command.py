"""Which command runs a model's server in its container, and which ends it?

A model with `container` gets its `cmd` and `cmdStop` from here, so that whoever reads a command (ports, memory, the
interface) finds the truth. What is certain only when it starts is put in place then: `${PORT}`, and what a
`ContainerRuntime` says: whose container it is, and in which words the runtime that is there is asked.
"""

from __future__ import annotations

import re
import shlex
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from claracore.core.config.command import split
from claracore.core.config.container_gpus import GpuKind, gpu_words

if TYPE_CHECKING:
    from claracore.core.config.container import ContainerConfig
    from claracore.core.config.model import ModelConfig

LABEL: Final = "claracore.instance"
MODEL_LABEL: Final = "claracore.model"
INSTANCE: Final = "${INSTANCE}"
PORT: Final = "${PORT}"
USUAL_PORTS: Final = (("vllm", 8000), ("sglang", 30000), ("text-generation-inference", 80), ("infinity", 7997))
"""On which port images listen whose name has this in it."""
USUAL_PORT: Final = 8080
NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")
OF_THE_CLIENT: Final = re.compile(r"PATH|HOME|LD_\w+|DOCKER_\w+|CONTAINER_?\w*|XDG_\w+|TMPDIR|CLARACORE_\w+")
"""Variables that would make another thing of the client, so that they do not stand in its environment."""


@dataclass(frozen=True, slots=True)
class ContainerRuntime:
    """A container runtime: in whose words it is asked, by which program, and what this machine has for it."""

    kind: Literal["docker", "podman"] = "docker"
    program: str = ""
    """Name or path of its command; empty for its usual name."""
    has_init: bool = True
    """Whether it brings a first process that reaps others and passes signals on (`--init`)."""
    gpu: GpuKind = "none"
    """The kind of graphics devices of this machine, for images that do not say which one they are made for."""
    groups: tuple[int, ...] = ()
    """The groups whose members may use the graphics devices, by number: images do not know their names."""
    instance: str = INSTANCE
    """Whose container it is: by this it is known as one of this ClaraCore."""
    home: str = "~"
    """What `~` stands for."""

    @property
    def command(self) -> str:
        """What is called."""
        return self.program or self.kind


@dataclass(frozen=True, slots=True)
class ContainerMount:
    """One entry of `mounts`; Windows' paths are none."""

    source: str
    target: str
    writable: bool = False

    @property
    def is_volume(self) -> bool:
        """Whether the source is the name of a volume, and no path."""
        return "/" not in self.source and not self.source.startswith(("~", "."))


def words_in(written: str | Sequence[str]) -> list[str]:
    """Return `args` or `options` as words; none where a quotation is not closed, which check_container.py has told."""
    if not isinstance(written, str):
        return list(written)
    try:
        return split(written)
    except ValueError:
        return []


def mount_of(text: str) -> ContainerMount:
    """Read one entry of `mounts`. Raises ValueError, which says what is wrong."""
    source, *rest = text.strip().split(":")
    mode = rest.pop() if rest and rest[-1] in {"ro", "rw"} else "ro"
    if len(rest) > 1:
        raise ValueError("it has too many colons")
    target = rest[0] if rest else source
    mount = ContainerMount(source, target, mode == "rw")
    if not source:
        raise ValueError("it names nothing")
    if not mount.is_volume and not source.startswith(("/", "~/")):
        raise ValueError("its path is not a whole one")
    if not target.startswith(("/", "~/")) or (rest and target.startswith("~")):
        raise ValueError("where it is inside must be a whole path")
    return mount


def container_name(model_id: str, instance: str) -> str:
    """Return how a model's container is called: the same at each start, another for each instance and model."""
    plain = NOT_IN_A_NAME.sub("-", model_id).strip("-.")[:60]
    if plain != model_id:
        plain = f"{plain}-{zlib.crc32(model_id.encode()):08x}".lstrip("-")
    return f"claracore-{instance}-{plain}"


def port_inside(container: ContainerConfig) -> str:
    """Return the port on which the program listens inside, as a word; `${PORT}` where args say so."""
    if container.port is not None:
        return str(container.port)
    named = _value_of(words_in(container.args), "--port")
    if named is not None and (named.isdecimal() or named == PORT):
        return named
    return str(next((port for name, port in USUAL_PORTS if name in container.image), USUAL_PORT))


def with_container(model: ModelConfig, runtime: ContainerRuntime | None = None) -> ModelConfig:
    """Return a model with the commands for its container, if it has one; in Docker's words where `runtime` is None."""
    container = model.container
    if container is None:
        return model
    known = runtime or ContainerRuntime("podman" if container.runtime == "podman" else "docker")
    stop = (known.command, "stop", "-t", str(_grace_seconds(model)), container_name(model.id, known.instance))
    kept = tuple(entry for entry in model.env if runtime is None or not _is_of_the_client(entry))
    words = run_words(model.id, container, model.env, known)
    return model.model_copy(update={"cmd": shlex.join(words), "cmd_stop": shlex.join(stop), "env": kept})


def run_words(model_id: str, container: ContainerConfig, env: Sequence[str], runtime: ContainerRuntime) -> list[str]:
    """Return the words that run a container in the foreground, published to this host alone."""
    inside = port_inside(container)
    return [
        *(runtime.command, "run", "--rm", "--name", container_name(model_id, runtime.instance)),
        *(("--init",) if runtime.has_init else ()),
        # What it prints is read by the client; the runtime would keep it a second time.
        *("--log-driver", "none"),
        *("--label", f"{LABEL}={runtime.instance}", "--label", f"{MODEL_LABEL}={model_id}"),
        *("--publish", f"127.0.0.1:{PORT}:{inside}"),
        *(word for mount in _mounts(container) for word in ("--mount", _mount_words(mount, runtime.home))),
        *gpu_words(container.image, container.gpus, runtime.kind, present=runtime.gpu, groups=runtime.groups),
        # llama.cpp's server reads these; it is about to listen on another port when nothing is said.
        *("--env", "LLAMA_ARG_HOST=0.0.0.0", "--env", f"LLAMA_ARG_PORT={inside}"),
        *(word for entry in env if "=" in entry for word in ("--env", _variable(entry))),
        *words_in(container.options),
        container.image,
        *words_in(container.args),
    ]


def host_path(container: ContainerConfig, path: str) -> str | None:
    """Return where a path inside the container is on this host; None where no mount of a folder leads to it."""
    for mount in sorted(_mounts(container), key=lambda mount: -len(mount.target)):
        if not mount.is_volume and PurePosixPath(path).is_relative_to(mount.target):
            return str(PurePosixPath(mount.source, PurePosixPath(path).relative_to(mount.target)))
    return None


def _mounts(container: ContainerConfig) -> Iterator[ContainerMount]:
    for text in container.mounts:
        try:
            yield mount_of(text)
        except ValueError:
            continue  # check_container.py has told


def _mount_words(mount: ContainerMount, home: str) -> str:
    def whole(path: str) -> str:
        return home + path[1:] if path.startswith("~/") else path

    fields = [
        f"type={'volume' if mount.is_volume else 'bind'}",
        f"source={whole(mount.source)}",
        f"target={whole(mount.target)}",
        *(() if mount.writable else ("readonly",)),
    ]
    # The value is one line of CSV (docker-run(1), --mount).
    quoted = (f'"{field.replace(chr(34), chr(34) * 2)}"' if set(field) & {",", '"'} else field for field in fields)
    return ",".join(quoted)


def _variable(entry: str) -> str:
    """Return a variable by its name alone, whose value the client takes from its environment: values may be secret."""
    return entry if _is_of_the_client(entry) else entry.partition("=")[0]


def _is_of_the_client(entry: str) -> bool:
    return OF_THE_CLIENT.fullmatch(entry.partition("=")[0]) is not None


def _grace_seconds(model: ModelConfig) -> int:
    """Return how long the runtime waits until it kills: a second less than we do, so that it does."""
    return max(1, int(model.unload_timeout_seconds) - 1)


def _value_of(words: Sequence[str], flag: str) -> str | None:
    for word, following in pairwise([*words, ""]):
        if word == flag:
            return following
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None
