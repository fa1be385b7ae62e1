"""Can each model be started and reached as it is configured?"""

from __future__ import annotations

from claracore.core.config.check_container import check_container
from claracore.core.config.check_ranks import check_ranks
from claracore.core.config.check_routing import check_address
from claracore.core.config.command import split, uses_port
from claracore.core.config.detaching import MENTIONED, Detaching, detaching
from claracore.core.config.model import DEFAULT_PROXY, ModelConfig
from claracore.core.config.planned_ports import mentions_late
from claracore.core.config.report import NodePath, Say
from claracore.core.config.shell import habits_in
from claracore.core.config.sleep import read_request
from claracore.core.memory.declared import device_problems

KEYS = {"use_model_name": "useModelName"}


def check_model(model: ModelConfig, error: Say, warn: Say) -> None:
    """Report commands that cannot be split, ports and sockets that lead nowhere, odd addresses and environments."""
    path: NodePath = ("models", model.id)
    check_container(model, path, error, warn)
    check_ranks(model, path, error, warn)
    for key, text in (("cmd", model.cmd), ("cmdStop", model.cmd_stop)):
        if text and model.container is None:
            _check_command(text, (*path, key), error, warn)
    if (
        model.container is None
        and MENTIONED.search(model.cmd) is not None
        and (found := _detaching(model.cmd)) is not None
    ):
        message = f"{found.by} returns at once and leaves the server running, where it is not seen and not stopped"
        warn((*path, "cmd"), message, found.way_out)
    if model.container is None:
        (_check_socket if model.transport == "unix" else _check_port)(model, path, error)
    if model.proxy != DEFAULT_PROXY:
        check_address(model.proxy, (*path, "proxy"), warn)
    for name, problem in device_problems(tuple(model.memory)).items():
        error((*path, "memory", name), f"found {name[:40]!r}", problem)
    _check_sleep(model, (*path, "sleep"), error, warn)
    for index, entry in enumerate(model.env):
        name, equals, _value = entry.partition("=")
        if not equals or not name or "\0" in entry:
            warn((*path, "env", index), f"found {name[:40]!r}", "expected NAME=value")
    for name in mentions_late(model):
        if "${SOCKET}" in str(getattr(model, name)) or not uses_port(model):
            key = KEYS.get(name, name)
            warn((*path, key), "has ${PORT} or ${SOCKET}, which is not known here", f"remove it from {key}")


def _check_sleep(model: ModelConfig, path: NodePath, error: Say, warn: Say) -> None:
    sleep = model.sleep
    texts = {"enter": sleep.enter.strip(), "wake": sleep.wake.strip()}
    for key, text in texts.items():
        try:
            if text:
                read_request(text)
        except ValueError as wrong:
            error((*path, key), f"found {text[:40]!r}", str(wrong))
        if not text and any((*texts.values(), sleep.memory)):
            error((*path, key), "it is not given", f"a model that sleeps needs both enter and wake: add {key}")
    if not any(texts.values()):
        return
    if not model.cmd.strip():
        error(path, "the model has no cmd", "remove sleep: its server is not ours to put to sleep")
    for name, problem in device_problems(tuple(sleep.memory)).items():
        error((*path, "memory", name), f"found {name[:40]!r}", problem)
    if texts["enter"].startswith("POST /sleep") and "vllm" in model.cmd:
        for needed, there, way_out in (
            ("--enable-sleep-mode", model.cmd, "add it to cmd"),
            ("VLLM_SERVER_DEV_MODE=1", " ".join(model.env), "add it to env"),
        ):
            if needed not in there:
                warn((*path, "enter"), f"vLLM has /sleep only with {needed}", way_out)


def _check_command(text: str, path: NodePath, error: Say, warn: Say) -> None:
    try:
        if "'" in text or '"' in text or "\\" in text:
            split(text)
        for found, way_out in habits_in(text):
            warn(path, found, way_out)
    except ValueError as problem:
        error(path, str(problem), "close the quotation, or write \\' for a lone quote")


def _detaching(cmd: str) -> Detaching | None:
    try:
        return detaching(split(cmd))
    except ValueError:
        return None  # said already


def _check_port(model: ModelConfig, path: NodePath, error: Say) -> None:
    if "${SOCKET}" in model.cmd:
        error((*path, "cmd"), "cmd uses ${SOCKET}, but the transport is tcp", "add `transport: unix`")
    elif "${PORT}" in model.proxy and "${PORT}" not in model.cmd:
        if model.proxy == DEFAULT_PROXY:
            found = "cmd has no ${PORT}, and there is no proxy" if model.cmd else "the model has neither cmd nor proxy"
            error((*path, "cmd") if model.cmd else path, found, "add `--port ${PORT}` to cmd, or set proxy")
        else:
            error((*path, "proxy"), "proxy uses ${PORT} but cmd does not", "add `--port ${PORT}` to cmd")


def _check_socket(model: ModelConfig, path: NodePath, error: Say) -> None:
    if "${SOCKET}" not in model.cmd:
        error((*path, "transport"), "the transport is unix, but cmd has no ${SOCKET}", "add `--host ${SOCKET}` to cmd")
    if "${PORT}" in model.cmd:
        error((*path, "cmd"), "cmd uses ${PORT}, but the transport is unix", "remove ${PORT}, or set `transport: tcp`")
