"""Which verbs are there, and what does `claracore` without a verb do? (It serves.)"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from claracore.cli.interrupts import interrupt_once
from claracore.errors import ClaraCoreError

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

VERBS = {
    "config": "config:config_app",
    "ports": "ports:ports_app",
    "keys": "keys:keys_app",
    "pull": "pull:pull",
    "setup": "setup:setup",
    "fit": "setup:fit",
    "hardware": "setup:hardware",
    "status": "status:status",
    "ps": "models:ps",
    "load": "models:load",
    "unload": "models:unload",
    "logs": "logs:logs",
    "requests": "requests:requests",
    "doctor": "doctor:doctor",
    "replay": "replay:replay_logs",
    "chat": "chat:chat",
    "bench": "bench:bench",
}
"""Where each verb is: a module of this package, and a function or a group of verbs in it."""


class Verbs(TyperGroup):
    """The verbs, each loaded when it is asked for: what it needs takes longer than what it does."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - passed on as they are
        super().__init__(**attributes)
        self.commands.update(dict.fromkeys(VERBS, self))  # the names, for lists and suggestions

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | TyperGroup | None:  # type: ignore[override] # the type that typer declares is private
        """Return a verb; None when there is none of this name."""
        del ctx
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        found = getattr(import_module(f"claracore.cli.{module}"), name)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(cmd_name)(found)
            found = alone
        return cast("TyperCommand | TyperGroup", get_command(found))


app = typer.Typer(
    cls=Verbs,
    help=EXAMPLES,
    invoke_without_command=True,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


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
        from claracore.build import version_text  # noqa: PLC0415 - only where it is needed, as below

        print(f"claracore {version_text()}")
        raise typer.Exit
    if context.invoked_subcommand is not None:
        return
    from claracore.cli.console import LogWishes  # noqa: PLC0415 - a verb needs none of this
    from claracore.cli.serve import DEFAULT_CONFIG, ServeWishes, serve  # noqa: PLC0415
    from claracore.host.setup.request import SetupOptions  # noqa: PLC0415
    from claracore.http.access.origins import Rules, hosts  # noqa: PLC0415

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
