"""Which verbs are there, and what does `claracore` without a verb do? (It serves.)"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from claracore.build import version_text
from claracore.cli.bench import bench
from claracore.cli.chat import chat
from claracore.cli.config import config_app
from claracore.cli.console import LogWishes
from claracore.cli.doctor import doctor
from claracore.cli.interrupts import interrupt_once
from claracore.cli.keys import keys_app
from claracore.cli.logs import logs
from claracore.cli.models import load, ps, unload
from claracore.cli.ports import ports_app
from claracore.cli.pull import pull
from claracore.cli.requests import requests
from claracore.cli.serve import DEFAULT_CONFIG, ServeWishes, serve
from claracore.cli.setup import fit, hardware, setup
from claracore.cli.status import status
from claracore.errors import ClaraCoreError
from claracore.gateway.origins import Rules, hosts
from claracore.store.setup import SetupOptions

EXAMPLES = """
One port for every local model.

\b
Examples:
  claracore --models-folder ~/models         find models, write config.yaml, serve
  claracore pull org/repo:Q4_K_M             get a model from the hub and serve it
  claracore --config my.yaml --listen :8080  serve a file on all interfaces
  claracore config check my.yaml             what is wrong with a file, and where
  claracore ports                            who has which port, and why
  claracore engine --help                    the built-in engine's own flags
"""

app = typer.Typer(
    help=EXAMPLES,
    invoke_without_command=True,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


app.add_typer(config_app, name="config")
app.add_typer(ports_app, name="ports")
app.add_typer(keys_app, name="keys")
for verb in (pull, setup, fit, hardware, status, ps, load, unload, logs, requests, doctor, chat, bench):
    app.command()(verb)


@app.callback()
def serve_command(
    context: typer.Context,
    models_folder: Annotated[
        list[Path] | None, typer.Option(help="Folder with GGUF files; may be given more than once.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file; with --models-folder written if there is none.")
    ] = None,
    config_dir: Annotated[Path | None, typer.Option(help="Folder whose *.yaml files are merged into it.")] = None,
    listen: Annotated[
        str, typer.Option(help="Address to serve on: 5800, :5800, 192.168.1.100:5800, [::1]:5800, :0 or auto.")
    ] = "5800",
    watch_config: Annotated[bool, typer.Option(help="Take over changes of the configuration while running.")] = True,
    watch_models: Annotated[bool, typer.Option(help="Serve models that appear in the folders while running.")] = True,
    backend: Annotated[
        str | None, typer.Option(help="cuda, rocm, vulkan, metal or cpu, instead of what is found.")
    ] = None,
    ram: Annotated[float | None, typer.Option(help="Memory in GB to plan with, instead of what is found.")] = None,
    vram: Annotated[float | None, typer.Option(help="GPU memory in GB to plan with, likewise.")] = None,
    jinja: Annotated[bool, typer.Option(help="Use the chat templates of the models.")] = True,
    parallel: Annotated[int | None, typer.Option(help="Answers that a model gives at once.")] = None,
    auto_draft: Annotated[bool, typer.Option(help="Pair models with a small draft of the same family.")] = False,
    realtime: Annotated[bool, typer.Option(help="Plan with the memory that is free now.")] = False,
    hold_ports: Annotated[bool, typer.Option(help="Let the kernel keep the models' ports while running.")] = True,
    strict: Annotated[bool, typer.Option(help="Refuse a configuration with unknown keys.")] = False,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warn or error; instead of logLevel.")] = None,
    log_format: Annotated[str, typer.Option(help="text, or json: one object a line.")] = "text",
    log_file: Annotated[Path | None, typer.Option(help="Write the log there too; it is rotated at 10 MB.")] = None,
    body_buffer: Annotated[
        int | None,
        typer.Option(min=1, help="Megabytes for request bodies that cannot be sent on yet; instead of bodyBuffer."),
    ] = None,
    insecure: Annotated[bool, typer.Option(help="Let other hosts administer without a key.")] = False,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="Another name under which this server is reached, e.g. by a TLS proxy.")
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(help="Origin whose pages may use the models, e.g. https://chat.example; * is all."),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate (PEM, with its chain): serve https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, if it is in another file.")] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Serve; see --help."""
    if version:
        print(f"claracore {version_text()}")
        raise typer.Exit
    if context.invoked_subcommand is not None:
        return
    options = SetupOptions(
        backend=backend,
        vram_gb=vram,
        ram_gb=ram,
        parallel=parallel,
        jinja=jinja,
        auto_draft=auto_draft,
        realtime=realtime,
    )
    serve(
        ServeWishes(
            folders=tuple(models_folder or ()),
            config=config or DEFAULT_CONFIG,
            may_begin_empty=config is None and config_dir is None,
            config_dir=config_dir,
            listen=listen,
            watch_config=watch_config,
            watch_models=watch_models,
            hold_ports=hold_ports,
            strict=strict,
            log=LogWishes(log_level, log_format, log_file),
            rules=Rules(insecure, hosts(allowed_host or ()), hosts(cors_origin or ())),
            tls=(tls_cert, tls_key) if tls_cert is not None else None,
            setup=options,
            body_buffer=body_buffer,
        )
    )


def run(argv: Sequence[str]) -> None:
    """Run the command line; an error that a user can understand is a message and exit code 1, never a traceback."""
    interrupt_once()
    try:
        app(args=[_long(word) for word in argv], prog_name="claracore")
    except ClaraCoreError as error:
        _end(error.message)
    except OSError as error:
        what = f"{error.filename}: " if error.filename is not None else ""
        _end(f"{what}{error.strerror or error}")


def _end(message: str) -> NoReturn:
    print(f"claracore: {message}", file=sys.stderr)
    sys.exit(1)


GO_FLAGS = {"-config", "-config-dir", "-listen", "-watch-config", "-models-folder", "-version", "-help"}


def _long(word: str) -> str:
    """Accept the single-dash flags of llama-swap and the original ClaraCore, which Go programs take."""
    name, equals, value = word.partition("=")
    return f"-{name}{equals}{value}" if name in GO_FLAGS else word
