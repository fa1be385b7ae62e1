"""What does a person say of the container in which a model's server runs?

`container` takes the place of `cmd`: which image, with which arguments for its program. How that becomes a command of
Docker or Podman is the business of `container_command.py`, what may be wrong with it that of `check_container.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, WithJsonSchema

from claracore.core.config.fields import Section, option

LAST_PORT = 65535


def words_in(value: object) -> object:
    """Make words of the numbers in a list; leave texts, which are split later, and whatever else is wrong."""
    if isinstance(value, list):
        return [str(word) if isinstance(word, int | float) and not isinstance(word, bool) else word for word in value]
    return value


def gpus_in(value: object) -> object:
    """Return `all`, `none`, a vendor or the numbers of devices as words: `[0, 1]` and `"0,1"` become `("0", "1")`."""
    if value is False:
        return ("none",)
    if isinstance(value, str | int) and not isinstance(value, bool):
        return tuple(part.strip() for part in str(value).split(",") if part.strip())
    return words_in(value)


_WORDS_SCHEMA = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}}]
}
_GPUS_SCHEMA = {"anyOf": [*_WORDS_SCHEMA["anyOf"], {"type": "integer", "minimum": 0}, {"const": False}]}
Words = Annotated[str | tuple[str, ...], BeforeValidator(words_in), WithJsonSchema(_WORDS_SCHEMA)]
Gpus = Annotated[tuple[str, ...], BeforeValidator(gpus_in), WithJsonSchema(_GPUS_SCHEMA)]


class ContainerConfig(Section):
    """A container in which the model's server runs, in place of `cmd`."""

    image: str = option("", "Image of the server, as Docker and Podman name it. It is fetched when it is not here.")
    runtime: Literal["auto", "docker", "podman"] = option(
        "auto", "What runs it: docker, podman, or (auto) Docker where it answers, else Podman."
    )
    args: Words = option(
        (), "What the image's program gets, as a text that is split like `cmd`, or as a list of words."
    )
    port: int | None = option(
        None,
        "Port on which the program listens inside; ${PORT} is the one outside, on 127.0.0.1.",
        default_text="what `--port` in args says, else the image's usual one, else 8080",
        ge=1,
        le=LAST_PORT,
    )
    mounts: tuple[str, ...] = option(
        (),
        "Folders and files that the server may read: `PATH`, the same inside, or `PATH:INSIDE`; with `:rw` behind it "
        "it may write too. A name without a slash is a volume of the runtime.",
    )
    gpus: Gpus = option(
        ("auto",),
        "Graphics devices: `none`, `all`, `nvidia`, `amd`, `intel`, or the numbers of some, such as `[0, 1]`. `auto` "
        "is what the image is made for: its name says it (`server-cuda`), or all that are here.",
    )
    options: Words = option((), "More options for `docker run`, such as `--shm-size 1g`; split like `args`.")
