"""Can a model's container be run as it is configured?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePosixPath

from claracore.core.config.command import split
from claracore.core.config.container import ContainerConfig
from claracore.core.config.container_command import mount_of, port_inside, with_container, words_in
from claracore.core.config.container_gpus import known_gpus
from claracore.core.config.file_flags import NEEDED, named_behind
from claracore.core.config.model import DEFAULT_PROXY, ModelConfig
from claracore.core.config.report import NodePath, Say

OURS = {
    "--name": "the container's name is ClaraCore's own",
    "-p": "the port is published by ClaraCore",
    "--publish": "the port is published by ClaraCore",
    "-P": "ports are published by ClaraCore",
    "--publish-all": "ports are published by ClaraCore",
    "-d": "the container runs in the foreground, where its end is seen",
    "--detach": "the container runs in the foreground, where its end is seen",
    "--rm": "the container is always removed",
    "--restart": "ClaraCore starts it again",
    "--network=host": "with the host's network the port is not published",
    "--net=host": "with the host's network the port is not published",
    "--log-driver": "what it prints is kept by ClaraCore",
    "--cidfile": "the container is known by its name",
}
IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]*")


def check_container(model: ModelConfig, path: NodePath, error: Say, warn: Say) -> None:
    """Report what contradicts the container or cannot be run; nothing for a model that has none."""
    container = model.container
    if container is None:
        return
    path = (*path, "container")
    if not IMAGE.fullmatch(container.image):
        found = f"found {container.image[:60]!r}" if container.image else "the container has no image"
        error((*path, "image"), found, "expected an image such as ghcr.io/ggml-org/llama.cpp:server-cuda")
    _check_beside(model, path, error)
    for index, text in enumerate(container.mounts):
        try:
            mount_of(text)
        except ValueError as problem:
            error((*path, "mounts", index), f"found {text[:60]!r}: {problem}", "expected /PATH, or /PATH:/INSIDE")
    if not known_gpus(container.gpus):
        found = f"found {', '.join(container.gpus)[:40]!r}"
        error((*path, "gpus"), found, "expected auto, none, all, nvidia, amd, intel, or numbers such as [0, 1]")
    for key, written in (("args", container.args), ("options", container.options)):
        try:
            split(written if isinstance(written, str) else "")
        except ValueError as problem:
            error((*path, key), str(problem), "close the quotation, or write \\' for a lone quote")
    _check_options(words_in(container.options), path, error)
    for file in _files_without_mount(container):
        message = f"{file} is below none of the mounts, so that the server only finds it if the image has it"
        folder = PurePosixPath(file).parent
        way_out = f"add {folder} to mounts" if folder != folder.parent else "put it into a folder that is mounted"
        warn((*path, "mounts"), message, way_out)
    _check_port(container, path, error)


def _check_beside(model: ModelConfig, path: NodePath, error: Say) -> None:
    """Report what else the model says of its server: a container leaves nothing of that open."""
    made = with_container(model)
    above = path[:-1]
    if model.cmd != made.cmd:
        error((*above, "cmd"), "both cmd and container are written", "keep one: `container.args` is for its program")
    if model.cmd_stop != made.cmd_stop:
        error((*above, "cmdStop"), "both cmdStop and container are written", "remove cmdStop: the container is stopped")
    if model.transport == "unix":
        error((*above, "transport"), "a container is reached by its port", "remove `transport: unix`")
    if model.proxy != DEFAULT_PROXY:
        error((*above, "proxy"), "both proxy and container are written", "remove proxy: the port is published here")
    if model.owner == "any":
        error((*above, "owner"), "the owner of a container's port is known", "remove owner")


def _check_port(container: ContainerConfig, path: NodePath, error: Say) -> None:
    named = port_inside(container.model_copy(update={"port": None}))
    if container.port is None or "--port" not in " ".join(words_in(container.args)) or named == str(container.port):
        return
    message = f"port is {container.port}, but the program is told to listen on {named}"
    error((*path, "port"), message, "remove port, or `--port` in args")


def _check_options(options: Sequence[str], path: NodePath, error: Say) -> None:
    for word, following in pairwise([*options, ""]):
        name = next((each for each in (word, f"{word}={following}", word.partition("=")[0]) if each in OURS), None)
        if name is not None:
            error((*path, "options"), f"found {name}: {OURS[name]}", f"remove {name}")
            return
    if options and not options[0].startswith("-"):
        error((*path, "options"), f"found {options[0][:40]!r}", "expected options of `docker run`, which begin with -")


def _files_without_mount(container: ContainerConfig) -> list[str]:
    """Return the model files in args that no mount leads to."""
    try:
        targets = [PurePosixPath(mount_of(text).target) for text in container.mounts]
    except ValueError:
        return []  # told already
    named = [path for path in named_behind(NEEDED, words_in(container.args)) if path.startswith("/")]
    return [file for file in named if not any(PurePosixPath(file).is_relative_to(target) for target in targets)]
