"""What programs say of themselves and their models, each in its own words."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from claracore.core.cluster.model import Fit, NodeKind, NodeMemory, NodeModel, NodeReport
from claracore.host.cluster.asking import Inquiry, KeyRefused, NotUnderstood
from claracore.types import ModelState

READY, STOPPED, STARTING = ModelState.READY, ModelState.STOPPED, ModelState.STARTING
Answers = dict[str, Any]

CLARACORE: Answers = {
    "/api/node": {
        "kind": "claracore",
        "identity": "abc",
        "version": "1.2",
        "hardware": "Linux",
        "memory": [{"device": "ram", "total_bytes": 8, "free_bytes": 4}],
        "models": [
            {"name": "x", "state": "ready", "fit": "unknown", "requests": 2, "slots": 4, "context": 4096},
            {"name": "y", "state": "stopped", "fit": "after", "requests": 0, "slots": None, "context": None},
            {"name": "odd", "state": "of another version", "fit": 7, "requests": -1, "slots": 0, "context": "much"},
            {"no": "name"},
            "no model",
        ],
    },
    "/running": {"running": []},
}
LLAMA_SWAP: Answers = {
    "/running": {"running": [{"model": "x", "state": "starting"}]},
    "/v1/models": {
        "data": [{"id": "x"}, {"id": "y"}, {"id": "p/z", "meta": {"llamaswap": {"type": "peer", "peerID": "p"}}}]
    },
}
LM_STUDIO: Answers = {
    "/api/node": {"error": "Unexpected endpoint or method"},
    "/running": {"error": "Unexpected endpoint or method"},
    "/api/v0/models": {
        "data": [
            {"id": "x", "state": "loaded", "max_context_length": 8192, "loaded_context_length": 4096},
            {"id": "y", "state": "not-loaded", "max_context_length": 2048},
        ]
    },
    "/v1/models": {"data": [{"id": "x"}, {"id": "y"}]},
}
OLLAMA: Answers = {
    "/api/tags": {"models": [{"name": "x:latest"}, {"name": "y:1b"}]},
    "/api/ps": {"models": [{"name": "y:1b", "context_length": 4096}]},
    "/v1/models": {"data": [{"id": "x:latest"}, {"id": "y:1b"}]},
}
LLAMA_SERVER: Answers = {"/v1/models": {"data": [{"id": "x", "owned_by": "llamacpp"}]}, "/props": {"total_slots": 2}}
ROUTER: Answers = {
    "/v1/models": {
        "data": [
            {"id": "x", "owned_by": "llamacpp", "status": {"value": "loaded"}},
            {"id": "y", "owned_by": "llamacpp", "status": {"value": "unloaded"}},
        ]
    }
}
VLLM: Answers = {"/v1/models": {"data": [{"id": "x", "owned_by": "vllm", "max_model_len": 32768}]}}
OTHER: Answers = {"/v1/models": {"data": [{"id": "x"}]}}


def asked(*answers: Answers, paths: list[str] | None = None, times: int = 1) -> NodeReport:
    """Ask a server that answers so, one after another if there are several; what it does not have is 404."""
    seen = paths if paths is not None else []

    async def ask() -> NodeReport:
        now = iter(answers)
        present = next(now)

        def answer(request: httpx2.Request) -> httpx2.Response:
            seen.append(request.url.path)
            found = present.get(request.url.path, 404)
            if isinstance(found, bytes):
                return httpx2.Response(200, content=found)
            return httpx2.Response(found) if isinstance(found, int) else httpx2.Response(200, json=found)

        async with httpx2.AsyncClient(base_url="http://desk", transport=httpx2.MockTransport(answer)) as client:
            inquiry = Inquiry(client)
            report = await inquiry.report()
            for _ in range(times - 1):
                seen.clear()
                present = next(now, present)
                report = await inquiry.report()
            return report

    return asyncio.run(ask())


def test_a_claracore_says_it_all_at_once_and_what_cannot_be_read_is_left_out() -> None:
    paths: list[str] = []
    assert asked(CLARACORE, paths=paths) == NodeReport(
        NodeKind.CLARACORE,
        (
            NodeModel("x", READY, Fit.UNKNOWN, 2, 4, 4096),
            NodeModel("y", STOPPED, Fit.AFTER),
            NodeModel("odd", STOPPED, Fit.UNKNOWN),
        ),
        "abc",
        "1.2",
        "Linux",
        (NodeMemory("ram", 8, 4),),
    )
    assert paths == ["/api/node"]


@pytest.mark.parametrize(
    ("answers", "kind", "models"),
    [
        (LLAMA_SWAP, NodeKind.LLAMA_SWAP, (NodeModel("x", STARTING), NodeModel("y", STOPPED))),
        (LM_STUDIO, NodeKind.LM_STUDIO, (NodeModel("x", READY, context=4096), NodeModel("y", context=2048))),
        (OLLAMA, NodeKind.OLLAMA, (NodeModel("x:latest"), NodeModel("y:1b", READY, context=4096))),
        (LLAMA_SERVER, NodeKind.LLAMA_SERVER, (NodeModel("x", READY, slots=2),)),
        (ROUTER, NodeKind.LLAMA_SERVER, (NodeModel("x", READY), NodeModel("y", STOPPED))),
        (VLLM, NodeKind.VLLM, (NodeModel("x", READY, context=32768),)),
        (OTHER, NodeKind.OTHER, (NodeModel("x", READY),)),
    ],
    ids=["llama-swap", "lm-studio", "ollama", "llama-server", "llama-server's router", "vllm", "other"],
)
def test_each_program_is_known_by_what_it_has(answers: Answers, kind: NodeKind, models: tuple[NodeModel, ...]) -> None:
    report = asked(answers)
    assert (report.kind, report.models) == (kind, models)


def test_what_a_program_is_is_found_out_once_and_again_when_it_is_another() -> None:
    paths: list[str] = []
    asked(OLLAMA, paths=paths, times=2)
    assert paths == ["/api/tags", "/api/ps"]
    assert asked(OLLAMA, CLARACORE, times=2).kind is NodeKind.CLARACORE


def test_a_key_for_inference_only_sees_the_list_without_what_is_only_passed_on() -> None:
    refused = {"/api/node": 403, "/running": 403, "/api/tags": 403, "/api/v0/models": 403}
    report = asked({**refused, "/v1/models": LLAMA_SWAP["/v1/models"]})
    assert [model.name for model in report.models] == ["x", "y"]


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [
        (dict.fromkeys((*CLARACORE, *OLLAMA, "/api/v0/models"), 401), KeyRefused, r"refuses the key \(401\)"),
        ({"/api/node": 500}, NotUnderstood, "it answers 500 to GET /api/node"),
        ({}, NotUnderstood, "none of the lists"),
        ({"/v1/models": ["a list"]}, NotUnderstood, "none of the lists"),
    ],
)
def test_what_cannot_be_understood_is_said(answers: Answers, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        asked(answers)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"nothing", b"\xff\xfe", b""])
def test_what_is_no_json_that_can_be_read_is_no_answer(text: bytes) -> None:
    with pytest.raises(NotUnderstood):
        asked(dict.fromkeys(("/api/node", "/running", "/api/v0/models", "/api/tags", "/v1/models"), text))


def test_a_model_is_there_once_and_its_name_is_one_line() -> None:
    listed = {"data": [{"id": name} for name in ("a", "b\nc", "a", "d\x1b[0m", "ö é/1:b")]}
    assert [model.name for model in asked({"/v1/models": listed}).models] == ["a", "ö é/1:b"]
