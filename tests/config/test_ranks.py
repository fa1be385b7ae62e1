"""What each rank of a model is started with, and what cannot be."""

from __future__ import annotations

import pytest

from claracore.core.config.load import load
from claracore.core.config.model import ModelConfig
from claracore.core.config.ranks import (
    RankPlace,
    master_port_name,
    rank_entry,
    rank_name,
    rank_zero,
    uses_master_port,
)
from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan

VLLM = (
    "  big:\n    nodes: 2\n    env: ['VLLM_HOST_IP=${NODE_ADDR}']\n    memory: {gpu: 20GiB}\n"
    "    cmd: vllm serve M --port ${PORT} --nnodes ${NODES} --node-rank ${RANK} --master-addr ${MASTER_ADDR} "
    "--master-port ${MASTER_PORT}\n"
    "    rankCmd: vllm serve M --headless --nnodes ${NODES} --node-rank ${RANK} --master-addr ${MASTER_ADDR} "
    "--master-port ${MASTER_PORT}\n"
)
RPC = (
    "  big:\n    nodes: 3\n    cmd: llama-server --port ${PORT} --rpc ${RANKS}\n"
    "    rankCmd: ggml-rpc-server --host ${NODE_ADDR} --port ${PORT}\n"
)
MASTER = RankPlace("10.0.0.1", 8101)


def model(text: str) -> ModelConfig:
    loaded = load(f"models:\n{text}", env={})
    assert loaded.config is not None, loaded.findings
    return loaded.config.models["big"]


def test_vllm_gets_its_rank_and_the_place_where_they_meet() -> None:
    big = model(VLLM)
    zero = rank_zero(big, MASTER, {1: RankPlace("10.0.0.2")})
    assert zero.cmd.endswith("--port ${PORT} --nnodes 2 --node-rank 0 --master-addr 10.0.0.1 --master-port 8101")
    assert zero.env == ("VLLM_HOST_IP=10.0.0.1",)
    entry = rank_entry(big, 1, MASTER, "10.0.0.2", "http://10.0.0.1:5800")
    assert entry["cmd"].endswith("--headless --nnodes 2 --node-rank 1 --master-addr 10.0.0.1 --master-port 8101")
    assert entry["env"] == ["VLLM_HOST_IP=10.0.0.2"]
    assert (entry["owner"], entry["proxy"], entry["memory"]) == ("any", "http://10.0.0.1:5800", {"gpu": "20480MiB"})


def test_rpc_servers_are_given_by_address_and_port() -> None:
    big = model(RPC)
    zero = rank_zero(big, RankPlace("10.0.0.1"), {2: RankPlace("fd00::3", 8200), 1: RankPlace("10.0.0.2", 8100)})
    assert zero.cmd == "llama-server --port ${PORT} --rpc 10.0.0.2:8100,[fd00::3]:8200"
    entry = rank_entry(big, 2, RankPlace("fd00::1"), "fd00::3", "http://[fd00::1]:5800")
    assert entry["cmd"] == "ggml-rpc-server --host fd00::3 --port ${PORT}"
    assert entry["proxy"] == "http://[fd00::3]:${PORT}"
    assert "owner" not in entry


@pytest.mark.parametrize("text", [VLLM, RPC])
def test_an_entry_is_a_model_that_its_machine_can_read(text: str) -> None:
    import json

    entry = rank_entry(model(text), 1, MASTER, "10.0.0.2", "http://10.0.0.1:5800")
    loaded = load(json.dumps({"models": {rank_name("big", 1): entry}}), env={}, strict=True)
    assert loaded.config is not None, loaded.findings
    assert not loaded.findings
    assert loaded.config.models["big.rank1"].check_endpoint == "none"


def test_where_the_ranks_meet_is_a_port_of_its_own_in_the_plan() -> None:
    loaded = load(f"models:\n{VLLM}  other: {{cmd: 'x ${{PORT}}'}}\n", env={})
    assert loaded.config is not None
    made = plan(loaded.config, Listen(), places={})
    ports = [made.assignment[name] for name in ("big", master_port_name("big"), "other")]
    assert len(set(ports)) == 3
    assert uses_master_port(loaded.config.models["big"])
    assert not uses_master_port(model(RPC))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (VLLM.replace("    nodes: 2\n", ""), "the model has no `nodes`"),
        ("  big: {cmd: 'x ${PORT} ${RANK}'}\n", "${RANK} is for models with `nodes`"),
        ("  big: {nodes: 2, cmd: 'x ${PORT}'}\n", "there is no rankCmd"),
        ("  big: {nodes: 2, rankCmd: x, proxy: 'http://h:1'}\n", "the model has no cmd"),
        ("  big: {nodes: 2, cmd: 'x ${PORT}', rankCmd: 'x ${RANKS}'}\n", "${RANKS} is known in cmd only"),
        ("  big: {nodes: 2, cmd: 'x ${PORT} ${RANKS}', rankCmd: x}\n", "add ${PORT} to rankCmd"),
        ("  big: {nodes: 2, cmd: 'x ${PORT}', rankCmd: \"x '\"}\n", "is not closed"),
        ("  big: {nodes: 0, cmd: 'x ${PORT}', rankCmd: x}\n", "1"),
        ("  big: {nodes: many, cmd: 'x ${PORT}', rankCmd: x}\n", "nodes"),
        ("  big: {nodes: 2, cmd: 'x ${SOCKET}', rankCmd: x, transport: unix}\n", "from other machines"),
        ("  big: {nodes: 2, cmd: 'x ${PORT}', rankCmd: 'x ${NO}'}\n", "unknown macro ${NO}"),
        (RPC.replace("nodes: 3", "nodes: 4"), "llama.cpp#28487"),
        (RPC.replace("${NODE_ADDR}", "0.0.0.0"), "it has no keys"),
        (RPC.replace("${NODE_ADDR}", "8.8.8.8"), "it has no keys"),
        (RPC.replace(" --host ${NODE_ADDR}", " --host=0.0.0.0"), "it has no keys"),
        (RPC.replace(" --host ${NODE_ADDR}", ""), "loopback only"),
    ],
)
def test_what_cannot_be_is_said(text: str, said: str) -> None:
    findings = load(f"models:\n{text}", env={}).findings
    assert any(said in f"{found.message} {found.way_out} {found.path}" for found in findings), findings


def test_macros_of_the_file_may_have_those_of_ranks() -> None:
    macros = "macros: {meet: '--master-addr ${MASTER_ADDR}'}\n"
    loaded = load(
        f"{macros}models:\n  big: {{nodes: 2, cmd: 'x ${{PORT}} ${{meet}}', rankCmd: 'x ${{meet}}'}}\n", env={}
    )
    assert loaded.config is not None, loaded.findings
    assert rank_zero(loaded.config.models["big"], MASTER, {}).cmd == "x ${PORT} --master-addr 10.0.0.1"
