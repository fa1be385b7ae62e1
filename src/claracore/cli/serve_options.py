"""With which options does `claracore` serve?"""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path

from claracore.cli.verb import decimal_within, many, option, switch, within
from claracore.core.config.entrance import base_path_of
from claracore.core.fit.limits import MOST_GB, MOST_PARALLEL


def base_path(text: str) -> str:
    """Return a path before ours as it is used. Raises ArgumentTypeError."""
    try:
        return base_path_of(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What was chosen on the command line, as TAKES declares it; None where nothing was said."""

    models_folder: list[Path] | None
    config: Path | None
    config_dir: Path | None
    listen: str
    ollama: bool
    announce: bool
    watch_config: bool
    watch_models: bool
    backend: str | None
    ram: float | None
    vram: float | None
    jinja: bool
    parallel: int | None
    auto_draft: bool
    realtime: bool
    hold_ports: bool
    strict: bool
    log_level: str | None
    log_format: str
    log_file: Path | None
    body_buffer: int | None
    """Megabytes for request bodies that cannot be sent on yet."""
    insecure: bool
    allowed_host: list[str] | None
    cors_origin: list[str] | None
    base_path: str
    tls_cert: Path | None
    """With its chain; the private key may be in the same file."""
    tls_key: Path | None


TAKES = {
    "models_folder": many("--models-folder", about="Folder with GGUF files; may be given more than once.", kind=Path),
    "config": option(
        "--config",
        about="Configuration file; else ./config.yaml, else the one in your configuration folder.",
        kind=Path,
    ),
    "config_dir": option("--config-dir", about="Folder whose *.yaml files are merged into it.", kind=Path),
    "listen": option(
        "--listen",
        about="Address to serve on: 5800, :5800, 192.168.1.100:5800, [::1]:5800, :0 or auto.",
        default="5800",
    ),
    "ollama": switch(
        "--ollama",
        about="Serve on 127.0.0.1:11434 too, where clients of Ollama look; or see ollama.listen.",
        default=False,
    ),
    "announce": switch(
        "--announce",
        about="Tell the network that this server is here (mDNS), for `claracore nodes find` elsewhere.",
        default=False,
    ),
    "watch_config": switch(
        "--watch-config", about="Take over changes of the configuration while running.", default=True
    ),
    "watch_models": switch(
        "--watch-models", about="Serve models that appear in the folders while running.", default=True
    ),
    "backend": option("--backend", about="cuda, rocm, vulkan, metal or cpu, instead of what is found."),
    "ram": option(
        "--ram", about="Memory in GB to plan with, instead of what is found.", kind=decimal_within(0, MOST_GB)
    ),
    "vram": option("--vram", about="GPU memory in GB to plan with, likewise.", kind=decimal_within(0, MOST_GB)),
    "jinja": switch("--jinja", about="Use the chat templates of the models.", default=True),
    "parallel": option("--parallel", about="Answers that a model gives at once.", kind=within(1, MOST_PARALLEL)),
    "auto_draft": switch("--auto-draft", about="Pair models with a small draft of the same family.", default=False),
    "realtime": switch("--realtime", about="Plan with the memory that is free now.", default=False),
    "hold_ports": switch("--hold-ports", about="Let the kernel keep the models' ports while running.", default=True),
    "strict": switch("--strict", about="Refuse a configuration with unknown keys.", default=False),
    "log_level": option("--log-level", about="debug, info, warn or error; instead of logLevel."),
    "log_format": option("--log-format", about="text, or json: one object a line.", default="text"),
    "log_file": option("--log-file", about="Write the log there too; it is rotated at 10 MB.", kind=Path),
    "body_buffer": option(
        "--body-buffer",
        about="Megabytes for request bodies that cannot be sent on yet; instead of bodyBuffer.",
        kind=within(1),
    ),
    "insecure": switch("--insecure", about="Let other hosts administer without a key.", default=False),
    "allowed_host": many(
        "--allowed-host", about="Another name under which this server is reached, e.g. by a TLS proxy."
    ),
    "cors_origin": many(
        "--cors-origin", about="Origin whose pages may use the models, e.g. https://chat.example; * is all."
    ),
    "base_path": option(
        "--base-path", about="Path below which a proxy offers this server, e.g. /llm.", default="", kind=base_path
    ),
    "tls_cert": option("--tls-cert", about="Certificate (PEM, with its chain): serve https.", kind=Path),
    "tls_key": option("--tls-key", about="Its private key, if it is in another file.", kind=Path),
}
