"""How does one model run without a llama-server on this machine?

`claracore engine -m FILE --port N ...` is a process of its own with llama.cpp's own HTTP server inside (the xllamacpp
wheel), and takes llama-server's flags (embedded_flags.py).

Starting fast matters: a model is swapped in while somebody waits. So xllamacpp is imported after the flags are known to
be right, and hardly anything else is imported at all.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple

from claracore.host.engines.embedded_flags import FLAGS, OPTIONS, SECTIONS, Option
from claracore.host.engines.states import ENVIRONMENT, EXIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

STDIN_MARK = "CLARACORE_STDIN"
"""`held` in the environment: stdin is a pipe that closes when who started us is gone (supervisor/child.py)."""

HELP_COLUMN = 40
LOG_SECONDS = 0.5
HUB_FLAG = "-hf"
"""In the names of flags that llama-server's command line resolves before its server begins; xllamacpp does not."""


class UsageError(Exception):
    """The command line cannot be understood."""


class Setting(NamedTuple):
    """Set `field` (dotted; a leading + appends) of CommonParams to `value`."""

    field: str
    value: object


def parse(argv: Sequence[str]) -> list[Setting]:
    """Turn llama-server's flags into settings, in order; raise UsageError, which names the flag and its nearest kin."""
    settings: list[Setting] = []
    rest = list(reversed(argv))
    while rest:
        given = rest.pop()
        flag = given.replace("_", "-") if given.startswith("--") else given  # as llama.cpp does
        option = OPTIONS.get(flag)
        if option is None:
            raise UsageError(unknown(given))
        if not option.argument:
            settings += [Setting(field, value) for field, value in option.values.items()]
        else:
            value = argument_of(option, given, rest)
            settings += [Setting(field, value) for field in option.fields]
    return settings


def argument_of(option: Option, flag: str, rest: list[str]) -> object:
    """Take the flag's argument off `rest` (its last item comes first) and convert it."""
    if option.optional and (not rest or rest[-1].startswith("-")):
        return option.convert("on")
    if not rest:
        raise UsageError(f"{flag} needs a value: {option.argument}")
    text = rest.pop()
    try:
        return option.convert(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text!r} {error}") from error


def unknown(flag: str) -> str:
    """Say what is wrong with a flag that is not in the table."""
    if not flag.startswith("-"):
        return f"{flag!r} is not a flag, and no flag before it takes a value"
    from claracore.host.engines.llama_flags import LLAMA_FLAGS  # noqa: PLC0415 - only a wrong command line pays for it

    if flag in LLAMA_FLAGS and HUB_FLAG in flag:
        return f"{flag}: the embedded engine fetches nothing from Hugging Face; download the file and use -m FILE"
    if flag in LLAMA_FLAGS:
        return (
            f"{flag} is a flag of llama-server that the embedded engine cannot honour; install llama-server to use it"
        )
    import difflib  # noqa: PLC0415 - as above

    near = difflib.get_close_matches(flag, FLAGS, n=2, cutoff=0.7)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"unknown flag {flag}{hint} (see --help)"


def help_text() -> str:
    """Return help in llama-server's layout, so that whoever parses that can parse this."""
    lines = ["usage: claracore engine -m FILE [flags of llama-server]"]
    for title, options in {"common": COMMON, **SECTIONS}.items():
        lines += ["", f"----- {title} params -----", ""]
        for option in options:
            names = f"{', '.join(option.flags)} {option.argument}".rstrip()
            if len(names) < HELP_COLUMN:
                lines.append(f"{names:<{HELP_COLUMN}}{option.help}")
            else:
                lines += [names, " " * HELP_COLUMN + option.help]
    return "\n".join(lines)


COMMON = (
    Option(("-h", "--help", "--usage"), "print this help and exit"),
    Option(("--version",), "show version and build info"),
    Option(("--exit-on-stdin-eof",), f"exit when stdin closes (also: environment {STDIN_MARK}=held)"),
)


def embedded_version() -> str:
    """Return which build of llama.cpp the embedded engine is, without loading it; empty when it is not installed."""
    from importlib import metadata  # noqa: PLC0415 - see the module's docstring

    try:
        return metadata.version("xllamacpp")
    except metadata.PackageNotFoundError:
        return ""


def version_text() -> str:
    """Return what --version prints: llama-server's form, `version: NUMBER (COMMIT)`."""
    import xllamacpp  # noqa: PLC0415 - see the module's docstring

    return f"version: {xllamacpp.__version__} (xllamacpp)\nbuilt for {xllamacpp.BUILD_INFO['build_target']}"


def defaults(settings: Iterable[Setting]) -> list[Setting]:
    """Add what llama-server does by itself: port 8080, four slots on one cache, drafting when there is a draft."""
    given = {setting.field: setting.value for setting in settings}
    added = []
    if "port" not in given:
        added.append(Setting("port", 8080))
    if given.get("n_parallel", -1) == -1:
        added += [Setting("n_parallel", 4), Setting("kv_unified", given.get("kv_unified", True))]
    if "speculative.draft.mparams.path" in given and "speculative.types" not in given:
        added.append(Setting("speculative.types", [1]))
    if "load_mode" not in given:
        added.append(Setting("load_mode", load_mode(given)))
    return [*settings, *added]


def load_mode(given: dict[str, object]) -> int:
    """Return llama.cpp's `enum llama_load_mode` for --mmap, --mlock and --direct-io."""
    if given.get("direct_io"):
        return 4
    mapped = given.get("mmap")
    if given.get("mlock"):
        return 2 if mapped is False else 3
    return {None: -1, True: 1, False: 0}[mapped if isinstance(mapped, bool) else None]


LOAD_MODE_PARTS = frozenset({"mmap", "mlock", "direct_io"})
USER_SAMPLING = {
    "samplers": 1, "top_k": 2, "top_p": 4, "min_p": 8, "xtc_probability": 16, "xtc_threshold": 32, "temp": 64,
    "penalty_last_n": 128, "penalty_repeat": 256, "mirostat": 512, "mirostat_tau": 1024, "mirostat_eta": 2048,
}  # fmt: skip
"""llama.cpp's `enum common_params_sampling_config`: what the user chose wins over the model's own metadata."""


def apply(params: Any, settings: Iterable[Setting], adapter: Any) -> None:  # noqa: ANN401 - xllamacpp has no types
    """Write the settings into a CommonParams; `adapter(path, scale)` makes its LoRA entries."""
    for field, value in settings:
        if field in LOAD_MODE_PARTS:
            continue
        *path, name = field.removeprefix("+").split(".")
        target = params
        for step in path:
            target = getattr(target, step)
        wanted = adapters(value, adapter) if field == "+lora_adapters" else value
        setattr(target, name, appended(getattr(target, name), wanted) if field.startswith("+") else wanted)
        if path == ["sampling"] and name in USER_SAMPLING:
            target.user_sampling_config |= USER_SAMPLING[name]


def adapters(pairs: Any, adapter: Any) -> list[Any]:  # noqa: ANN401 - xllamacpp has no types
    """Make LoRA entries of (path, scale) pairs."""
    return [adapter(path, scale) for path, scale in pairs]


def appended(old: Any, new: Any) -> Any:  # noqa: ANN401 - a list or a text
    """Join two lists, or two comma-separated texts."""
    return f"{old},{new}" if old and isinstance(old, str) else old + new


def model_problem(settings: Iterable[Setting]) -> str | None:
    """Say what is wrong with the model files before the engine is loaded at all; None if nothing is."""
    files = {field: str(value) for field, value in settings if field.endswith(".path") and value}
    remote = any(field == "model.url" for field, _ in settings)
    if "model.path" not in files:
        return "-mu needs -m FILE too: that is where the download goes" if remote else "no model: give one with -m FILE"
    for path in files.values():
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - importing pathlib costs every start 4 ms
                magic = file.read(4)
        except OSError as error:
            if remote and error.errno == 2:
                continue  # -m is where a download goes
            return f"cannot read model file {path!r}: {error.strerror}"
        if magic != b"GGUF":
            found = f"it starts with {f'{magic!r}'.removeprefix('b')}" if magic else "it is empty"
            return f"{path!r} is not a GGUF file ({found}); download it again, or convert the model"
    return None


def main(argv: Sequence[str]) -> int:
    """Run the engine until it is told to stop; return 1 when it cannot start, 2 for a wrong command line."""
    if any(flag in {"-h", "--help", "--usage"} for flag in argv):
        say(help_text(), sys.stdout)
        return 0
    if "--version" in argv:
        say(version_text(), sys.stdout)
        return 0
    ends_with_stdin = "--exit-on-stdin-eof" in argv or os.environ.get(STDIN_MARK) == "held" or is_routers_child()
    try:
        settings = defaults(parse([flag for flag in argv if flag != "--exit-on-stdin-eof"]))
    except UsageError as error:
        say(f"error: {error}")
        return 2
    problem = model_problem(settings)
    if problem is not None:
        say(f"error: {problem}")
        return 1
    return run(settings, ends_with_stdin=ends_with_stdin)


def is_routers_child() -> bool:
    """Whether who started us speaks llama.cpp's protocol for that (states.py); the server inside does it by itself."""
    return any(name in os.environ for name in ENVIRONMENT)


def run(settings: list[Setting], *, ends_with_stdin: bool) -> int:
    """Load the model, serve, and exit (the process, not just this function) at SIGTERM, SIGINT or by way of stdin."""
    import xllamacpp  # noqa: PLC0415 - see the module's docstring

    # While the model loads, xllamacpp keeps the GIL, so no Python handler runs: let the kernel's default end us.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    stdin = take_stdin() if ends_with_stdin else None
    params = xllamacpp.CommonParams()
    try:
        apply(params, settings, xllamacpp.CommonAdapterLoraInfo)
    except (ValueError, AttributeError) as error:  # devices, buffer types; a field that an older xllamacpp lacks
        say(f"error: {error}")
        return 2
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:
        problem = start_problem(params)
        await_log()
        say(f"error: {problem}")
        return 1
    ended = end_of(stdin)
    say(f"main: server is listening on {server.listening_address}", sys.stdout)
    os.read(ended, 1)
    # Not a return: the server's destructor waits for its clients, and may wait forever.
    os._exit(0)


def start_problem(params: Any) -> str:  # noqa: ANN401 - xllamacpp has no types
    """Find out why the server did not start; llama.cpp's own lines are above."""
    import socket  # noqa: PLC0415 - only a failure pays for it

    host = params.hostnames[0] if params.hostnames else "127.0.0.1"
    if not host.endswith(".sock"):
        try:
            with socket.create_server((host, params.port), reuse_port=params.reuse_port):
                pass
        except OSError as error:
            return f"cannot listen on {host}:{params.port}: {error.strerror}"
    return "the model could not be loaded; the lines above say why"


def await_log() -> None:
    """Let llama.cpp write why it failed: it does so in a thread of its own, which an exit does not wait for.

    That thread is through when no thread but this one has anything to do; where the kernel does not tell, a while is
    waited for.
    """
    import time  # noqa: PLC0415 - only a failure pays for it

    deadline = time.monotonic() + LOG_SECONDS
    while _others_work() and time.monotonic() < deadline:
        time.sleep(0.005)


def _others_work() -> bool:
    own, tasks = str(os.getpid()), "/proc/self/task"
    try:
        for task in os.listdir(tasks):  # noqa: PTH208 - see the module's docstring
            with open(f"{tasks}/{task}/stat", encoding="latin-1") as file:  # noqa: PTH123 - as above
                if task != own and file.read().rpartition(") ")[2][:1] in "RD":
                    return True
    except OSError:
        return not os.path.isdir(tasks)  # noqa: PTH112 - as above
    return False


def take_stdin() -> int:
    """Return what was stdin, and leave one that never says a word to the server inside.

    As a router's child it reads stdin too, but at the line to exit it only stops serving: the process would live on.
    """
    taken = os.dup(0)
    silent, _open_as_long_as_we_live = os.pipe()
    os.dup2(silent, 0)
    return taken


def end_of(stdin: int | None) -> int:
    """Return what becomes readable at SIGTERM or SIGINT; if there is a stdin to mind, exit with it or at its line.

    A pipe, because a signal may be delivered to one of the server's threads and would then not wake this one.
    """
    ended, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    if stdin is not None:
        import threading  # noqa: PLC0415 - only children of ours pay for it

        threading.Thread(target=exit_with_stdin, args=(stdin,), daemon=True).start()
    return ended


def exit_with_stdin(stdin: int) -> None:
    """Exit at the line to exit, or when stdin closes: whoever held its other end is gone."""
    tail = b""
    while (chunk := os.read(stdin, 4096)) and EXIT not in tail + chunk:
        tail = (tail + chunk)[-len(EXIT) :]
    os._exit(0)


def say(text: str, stream: Any = None) -> None:  # noqa: ANN401 - a text stream
    """Print at once, whatever the stream is."""
    print(text, file=stream or sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
