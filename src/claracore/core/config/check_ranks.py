"""Can a model be run by several machines as it is configured?"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from claracore.core.config.command import split
from claracore.core.config.model import ModelConfig
from claracore.core.config.ranks import MOST_RPC_HOSTS, is_spread, serves_rpc, uses_rank_macros
from claracore.core.config.report import NodePath, Say

_HOST: Final = frozenset({"--host", "-H"})


def check_ranks(model: ModelConfig, path: NodePath, error: Say, warn: Say) -> None:
    """Report what is missing or in the way when several machines are to run a model, and macros that mean nothing."""
    texts = {"cmd": model.cmd, "rankCmd": model.rank_cmd, "env": " ".join(model.env)}
    used = {key: sorted(uses_rank_macros(text)) for key, text in texts.items()}
    if not is_spread(model):
        if model.rank_cmd.strip():
            error((*path, "rankCmd"), "the model has no `nodes`", "add `nodes: 2`, or remove rankCmd")
        for key in ("cmd", "env"):
            if used[key]:
                error((*path, key), f"${{{used[key][0]}}} is for models with `nodes`", "add `nodes: 2` and rankCmd")
        return
    _check_parts(model, path, error)
    _check_command(model.rank_cmd, (*path, "rankCmd"), error)
    for key in ("rankCmd", "env"):
        if "RANKS" in used[key]:
            error((*path, key), "${RANKS} is known in cmd only", "remove it: the other ranks are not all there yet")
    if "RANKS" in used["cmd"] and "${PORT}" not in model.rank_cmd:
        error((*path, "cmd"), "${RANKS} has the ports of the ranks, which have none", "add ${PORT} to rankCmd")
    _check_rpc(model, path, error, warn)


def _check_parts(model: ModelConfig, path: NodePath, error: Say) -> None:
    if not model.cmd.strip():
        error(path, "the model has no cmd", "add cmd: it is rank 0, which runs here")
    if not model.rank_cmd.strip():
        error((*path, "nodes"), "there is no rankCmd", "add rankCmd: what runs on the other machines")
    if model.container is not None:
        error((*path, "nodes"), "a model in a container runs on one machine", "remove container, or nodes")
    if model.transport == "unix":
        error((*path, "transport"), "a socket is not reached from other machines", "remove `transport: unix`, or nodes")


def _check_command(text: str, path: NodePath, error: Say) -> None:
    if "${SOCKET}" in text:
        error(path, "a socket is not reached from other machines", "use ${PORT}")
    try:
        split(text)
    except ValueError as problem:
        error(path, str(problem), "close the quotation, or write \\' for a lone quote")


def _check_rpc(model: ModelConfig, path: NodePath, error: Say, warn: Say) -> None:
    """Look at RPC servers of llama.cpp: whoever reaches one uses it, and reads what is computed there."""
    if not serves_rpc(model):
        return
    if model.nodes - 1 > MOST_RPC_HOSTS:
        found = f"{model.nodes - 1} RPC servers: three and more hang (llama.cpp#28487)"
        error((*path, "nodes"), found, f"use nodes: {MOST_RPC_HOSTS + 1} at most, this machine included")
    host = _host_in(model.rank_cmd)
    if host is None or host == "${NODE_ADDR}":
        if host is None:
            warn((*path, "rankCmd"), "the RPC server listens on loopback only", "add `--host ${NODE_ADDR}`")
        return
    if _is_open(host):
        found = f"the RPC server listens on {host}: it has no keys and encrypts nothing"
        error((*path, "rankCmd"), found, "use `--host ${NODE_ADDR}`, inside a tunnel (WireGuard, Tailscale)")


def _host_in(cmd: str) -> str | None:
    try:
        words = split(cmd)
    except ValueError:
        return None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in _HOST:
            return following
        if word.startswith("--host="):
            return word.removeprefix("--host=")
    return None


def _is_open(host: str) -> bool:
    """Whether a literal address is every address of the machine, or a public one."""
    try:
        found = ip_address(host)
    except ValueError:
        return False
    return found.is_unspecified or found.is_global
