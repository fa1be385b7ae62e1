"""How does a port problem read to the person who has to solve it?

Each message says what happened, what was done about it, and what they can do (docs/ports.md, "Messages").
"""

from __future__ import annotations

from claracore.core.ports.containers import Container
from claracore.core.ports.ranges import LAST_PORT, Range
from claracore.types import Finding, Place


def moved(model_id: str, wanted: int, given: int, holder: str, home: Range | None) -> Finding:
    """Return the finding for a model that could not have its planned port."""
    return Finding(
        "warning",
        f'port {wanted} is taken by {holder}\n  model "{model_id}" was given {given} instead',
        path=home.path if home else "",
        place=home.place if home else None,
        way_out=f"to keep {wanted} for models, stop that process or {_another_start(home, wanted + 1)}",
    )


def nothing_free(model_id: str, home: Range | None, blocked: dict[int, str]) -> str:
    """Return the words for a model whose whole range is taken."""
    tail = "".join(f"\n  {port}: {why}" for port, why in sorted(blocked.items())[:5])
    more = f"\n  and {len(blocked) - 5} more" if len(blocked) > 5 else ""
    where = f"in {home.start}-{home.end}" if home else "left"
    return (
        f'no port {where} is free for model "{model_id}"{tail}{more}\n'
        f"  stop one of these processes or {_another_start(home, None)}"
    )


def fixed_taken(model_id: str, port: int, holder: str) -> str:
    """Return the words for a model whose own fixed port is taken."""
    return (
        f'port {port}, which the command of model "{model_id}" names, is taken by {holder}\n'
        "  stop that process, or write ${PORT} in cmd instead of the number and let ClaraCore choose"
    )


def proxy_taken(model_id: str, port: int, holder: str) -> str:
    """Return the words for a model whose proxy leads to a port that is taken, and whose command does not name it."""
    return f'port {port}, to which the proxy of model "{model_id}" leads, is taken by {holder}\n  stop that process'


def foreign_server(model_id: str, port: int, holder: str) -> str:
    """Return the words for a proxy that leads to a server of another user, which nobody has said is meant."""
    return (
        f"{proxy_taken(model_id, port, holder)}, or write `owner: any` if it is the server that is meant: "
        "as it is another user's, prompts are not sent to it unasked"
    )


def came_later() -> str:
    """Return what to do about a server that is no child's and was not there before the command that names no port."""
    return "; if that is the server that is meant, start it before the model, or write `owner: any`"


def unusable(model_id: str, clash: Finding) -> str:
    """Return the words for a model that is refused because of its fixed port."""
    out = f"\n  {clash.way_out}" if clash.way_out else ""
    return f'model "{model_id}" cannot be served: {clash.message}{out}'


def container_left(port: int, container: Container, *, has_stop: bool) -> str:
    """Return the words for a container that goes on when its client has ended."""
    if has_stop:
        return f"its container still listens on port {port}: cmdStop did not end it"
    unnamed = "" if container.name else ", with `--name NAME` in the command"
    return (
        f"its container still listens on port {port}, although its client has ended; "
        f"write `cmdStop: {container.stop_command}`{unnamed}"
    )


def still_running(model_id: str) -> str:
    """Return the words for a port that a model of ours has from before the configuration changed."""
    return f'model "{model_id}", which still runs from before the change'


def own_server(model_id: str) -> str:
    """Return the words for a port on which a model of ours runs."""
    return f'the server of model "{model_id}"'


def may_not_bind(port: int) -> str:
    """Return the words for a port that the operating system does not let us bind."""
    return f"the operating system (this user may not bind port {port}, or it is in an excluded range)"


def somebody() -> str:
    """Return the words for a holder that cannot be found."""
    return "a process that could not be found"


def could_not_bind() -> str:
    """Return the words for a port that was free but on which the model's server could not bind."""
    return "something that kept the model's server from binding it"


def container_already_there(port: int, holder: str, container: Container) -> str:
    """Return the note for a container whose port is bound already: nobody can tell whether it is this one."""
    return (
        f"port {port} is already bound by {holder}; the command runs a container, so this is taken for it unchecked"
        f" (if it is left from an earlier start, write `cmdStop: {container.stop_command}`)"
    )


def too_many_to_hold(count: int) -> Finding:
    """Return the finding for more models than ports may be held at once."""
    return Finding(
        "note",
        f"only the first {count} ports are held from the start; the others when their model is loaded",
        way_out="raise the limit of open files (ulimit -n) to hold all",
    )


def explain(finding: Finding) -> str:
    """Return the finding as a block of lines: what, what was done, what to do."""
    return f"{finding.message}\n  {finding.way_out}" if finding.way_out else finding.message


def _another_start(home: Range | None, port: int | None) -> str:
    key = home.path if home else "startPort"
    value = "to another number" if port is None or port > LAST_PORT else f"to {port}"
    where = in_file(home.place) if home and home.place else ""
    return f"set {key} {value}{where}"


def in_file(place: Place) -> str:
    """Return ` in config.yaml line 3`."""
    return f" in {place.file} line {place.line}"
