"""Which lines of Docker and Podman say why a container did not start, what do they mean, and what is the way out?

A table as in `known_failures.py`. The words are those of Docker 20 to 29 and of Podman 3 to 5; Podman's were seen with
4.3.1 where a test runs it, the others come from their sources.
"""

from __future__ import annotations

import re
from typing import Final

from claracore.core.loading.failure_kinds import FailureKind
from claracore.core.loading.known_failures import KnownFailure

OR_PODMAN: Final = "or use Podman, which needs no daemon (`runtime: podman`)"


def _row(kind: FailureKind, pattern: str, cause: str, way_out: str) -> KnownFailure:
    return KnownFailure(kind, re.compile(pattern, re.IGNORECASE), cause, way_out)


KNOWN_OF_CONTAINERS: Final = (
    _row(
        FailureKind.PROGRAM,
        r"permission denied while trying to connect to the docker (?:daemon socket|api)",
        "this user may not use Docker",
        f"Add it to the group (`sudo usermod -aG docker $USER`) and start ClaraCore in a new session, {OR_PODMAN}",
    ),
    _row(
        FailureKind.PROGRAM,
        r"cannot connect to the docker daemon|failed to connect to the docker api",
        "Docker's daemon does not run",
        f"Start it (`sudo systemctl start docker`, or Docker Desktop), {OR_PODMAN}",
    ),
    _row(
        FailureKind.PROGRAM,
        r"cannot connect to podman|unable to connect to podman",
        "Podman's machine does not run",
        "Start it: `podman machine start`",
    ),
    _row(
        FailureKind.DEVICE,
        r"could not select device driver .*gpu|unknown or invalid runtime name: nvidia"
        r"|nvidia-container-cli: .*|nvidia-container-runtime",
        "Docker has no way to NVIDIA's devices",
        "Install the NVIDIA Container Toolkit and restart Docker, or write `gpus: none`",
    ),
    _row(
        FailureKind.DEVICE,
        r"(?:unresolvable|setting up) CDI devices|nvidia\.com/gpu=\w+: no such file",
        "the runtime does not know NVIDIA's devices",
        "Describe them: `sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`, or write `gpus: none`",
    ),
    _row(
        FailureKind.DEVICE,
        r"(?:adding custom device|stat|lstat) \"?(?P<file>/dev/(?:kfd|dri)\S*?)\"?: no such file",
        "this machine has no {file}: its graphics driver is not loaded",
        "Install the driver, or write `gpus: none`",
    ),
    _row(
        FailureKind.NO_FILE,
        r"bind source path does not exist: (?P<file>\S.*?)\.?$|statfs (?P<file2>\S+): no such file or directory",
        "{file}, which `mounts` names, is not there",
        "Correct the path in `container.mounts`",
    ),
    _row(
        FailureKind.OTHER,
        r"toomanyrequests|rate limit",
        "the registry of the image gives no more to this address for now",
        "Wait, or log in to the registry (`docker login`, `podman login`)",
    ),
    _row(
        FailureKind.OTHER,
        r"no matching manifest for (?P<what>\S+)|image operating system .* cannot be used|exec format error",
        "there is no such image for this processor ({what})",
        "Take an image that was built for it",
    ),
    _row(
        FailureKind.OTHER,
        r"manifest for (?P<what>\S+) not found|pull access denied for (?P<what2>[^\s,]+)|manifest unknown"
        r"|(?P<what3>\S+): image not known|short-name \"(?P<what4>[^\"]+)\" did not resolve"
        r"|repository (?P<what5>\S+) not found|requested access to the resource is denied|unauthorized: ",
        "no registry gives out this image ({what})",
        "Correct `container.image`, log in to its registry, or build it here under this name",
    ),
    _row(
        FailureKind.OTHER,
        r"(?:dial tcp|lookup|pinging container registry|Get \"https://)(?P<what>.*?)(?::|,) .*?"
        r"(?:no such host|i/o timeout|connection refused|network is unreachable|handshake timeout|request canceled"
        r"|name resolution|server misbehaving|deadline exceeded)",
        "the image is not here, and its registry cannot be reached",
        "See to the network, or bring the image here by hand (`docker load`, `podman load`)",
    ),
    _row(
        FailureKind.OTHER,
        r"no space left on device|(?P<what>not enough space)",
        "there is no room for the image on the disk",
        "Make room: `docker system df` and `podman system df` say what takes it",
    ),
    _row(
        FailureKind.OTHER,
        r"container name \"?/?(?P<what>[^\s\"]+)\"? is already in use",
        "there already is a container {what}",
        "Remove it: `docker rm --force {what}`, or with podman",
    ),
    _row(
        FailureKind.PROGRAM,
        r"exec:? \"?(?P<what>[^\s\"]+)\"?: (?:executable file not found|stat .*no such file)"
        r"|executable file [`'\"]?(?P<what2>[^`'\"]+)[`'\"]? not found in \$PATH|no command specified"
        r"|failed to exec pid1: no such file",
        "the image has no such program ({what})",
        "`container.args` is what the image's own program gets; name another image, or `--entrypoint` in `options`",
    ),
    _row(
        FailureKind.FLAG,
        r"unknown (?:shorthand )?flag: (?P<flag>.+?)(?: in |$)",
        "the runtime does not know the option {flag}",
        "Take it out of `container.options`; the server's own flags belong into `container.args`",
    ),
)
