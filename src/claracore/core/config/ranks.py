"""What runs on each of the machines that run one model together?

Pure. Rank 0 is the model's own command, here: it has the one endpoint. Ranks 1, 2, ... are `rankCmd` on other machines,
each a model of the configuration there. What differs between them are macros, which are known when the model starts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from claracore.core.config.model import ModelConfig

RANK_MACROS: Final = frozenset({"NODES", "RANK", "MASTER_ADDR", "MASTER_PORT", "NODE_ADDR", "RANKS"})
"""NODES: how many machines; RANK: which of them, from 0; MASTER_ADDR, MASTER_PORT: where the ranks find rank 0;
NODE_ADDR: the machine's own address, as the others reach it; RANKS: `address:port` of each other rank, with commas."""
_USE: Final = re.compile("".join((r"\$\{(", "|".join(sorted(RANK_MACROS)), r")\}")))
_MASTER_PORT: Final = "${MASTER_PORT}"
MOST_RPC_HOSTS: Final = 2
"""Three and more RPC servers of llama.cpp hang (llama.cpp#28487); two were seen to work."""


@dataclass(frozen=True, slots=True)
class RankPlace:
    """Where one rank runs: the address of its machine, and the port that was leased there; 0 without one."""

    address: str
    port: int = 0


def is_spread(model: ModelConfig) -> bool:
    """Whether several machines run the model together."""
    return model.nodes > 1


def uses_rank_macros(text: str) -> frozenset[str]:
    """Return which macros of ranks stand in a text."""
    return frozenset(_USE.findall(text))


def uses_master_port(model: ModelConfig) -> bool:
    """Whether the ranks meet at a port of rank 0, which is leased beside the model's own."""
    return is_spread(model) and any(_MASTER_PORT in text for text in (model.cmd, model.rank_cmd, *model.env))


def master_port_name(model_id: str) -> str:
    """Return the name under which the port has its place in the plan and in the ledger."""
    return f"{model_id} (ranks)"


def rank_name(model_id: str, rank: int) -> str:
    """Return what a rank is called on its machine."""
    return f"{model_id}.rank{rank}"


def serves_rpc(model: ModelConfig) -> bool:
    """Whether the ranks are RPC servers of llama.cpp, which know no keys and encrypt nothing."""
    return is_spread(model) and "rpc-server" in model.rank_cmd


def listens(model: ModelConfig) -> bool:
    """Whether the ranks are given a port on their machines."""
    return "${PORT}" in model.rank_cmd


def rank_zero(model: ModelConfig, master: RankPlace, ranks: Mapping[int, RankPlace]) -> ModelConfig:
    """Return the model as it is started here, with what is known of the other ranks in place."""
    values = {
        **_common(model, 0, master, master.address),
        "RANKS": ",".join(_at(ranks[rank]) for rank in sorted(ranks)),
    }
    env = tuple(_filled(entry, values) for entry in model.env)
    return model.model_copy(update={"cmd": _filled(model.cmd, values), "env": env})


def rank_entry(model: ModelConfig, rank: int, master: RankPlace, address: str, web: str) -> dict[str, Any]:
    """Return a rank as a model of its machine's configuration; `web` is the URL at which the head serves the whole.

    A rank that listens is ready when it does. One that does not is ready when it has been started: what it would be
    asked is asked of the head.
    """
    values = _common(model, rank, master, address)
    entry: dict[str, Any] = {
        "cmd": _filled(model.rank_cmd, values),
        "env": [_filled(text, values) for text in model.env],
        "checkEndpoint": "none",
        "proxy": f"http://{_bracketed(address)}:${{PORT}}" if listens(model) else web,
        "unlisted": True,
        "ttl": 0,
        "unloadTimeout": model.unload_timeout_seconds,
        "healthCheckTimeout": model.health_check_timeout_seconds,
    }
    if not listens(model):
        entry["owner"] = "any"
    if model.memory:
        entry["memory"] = {device: f"{-(-count // _MEBI)}MiB" for device, count in model.memory.items()}
    return entry


_MEBI: Final = 1 << 20


def _common(model: ModelConfig, rank: int, master: RankPlace, address: str) -> dict[str, str]:
    return {
        "NODES": str(model.nodes),
        "RANK": str(rank),
        "MASTER_ADDR": master.address,
        "MASTER_PORT": str(master.port),
        "NODE_ADDR": address,
    }


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _USE.sub(lambda match: values.get(match[1], match[0]), text)


def _at(place: RankPlace) -> str:
    return f"{_bracketed(place.address)}:{place.port}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
