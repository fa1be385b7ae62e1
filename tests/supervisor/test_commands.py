from __future__ import annotations

import pytest

from claracore.core.config.model import ModelConfig
from claracore.host.engines.abilities import Abilities
from claracore.host.engines.find import Engine
from claracore.host.supervisor.commands import Commands

ENGINE = Engine(
    ("/opt/llama/llama-server",),
    "llama-server",
    "",
    Abilities(frozenset({"--port", "--reuse-port"}), tells_state=True),
    False,
)


def commands(engine: Engine | None = ENGINE, **flags: set[str]) -> Commands:
    found = {f"/opt/{name}/llama-server": Abilities(frozenset(its), name == "new") for name, its in flags.items()}
    return Commands(engine, lambda path: found.get(path, Abilities()))


def test_llama_server_stands_for_the_engine_that_was_found() -> None:
    argv = ("llama-server", "-m", "x.gguf")
    assert commands().argv(argv, share=False) == ("/opt/llama/llama-server", "-m", "x.gguf")
    assert commands(engine=None).argv(argv, share=False) == argv


def test_a_llama_server_of_another_machine_has_another_way_out() -> None:
    elsewhere = ModelConfig(id="a", cmd="/home/ann/binaries/llama-server --port ${PORT}")
    assert "the one that was found here is used" in commands().way_out(elsewhere)
    assert commands(engine=None).way_out(elsewhere) == ""
    assert commands().way_out(ModelConfig(id="b", cmd="vllm serve --port ${PORT}")) == ""


def test_what_a_command_does_not_do_is_told_when_it_fails() -> None:
    container = ModelConfig(id="c", cmd="docker run -d -p ${PORT}:80 img")
    assert "docker run --detach returns at once" in commands().hint(container, returned=True)
    assert commands().hint(container, returned=False) == "", "it has failed for another reason"
    redirected = ModelConfig(id="r", cmd="vllm serve --port ${PORT} > log")
    assert "'>' reaches the program" in commands().hint(redirected, returned=False)
    assert "'>' reaches the program" in commands().way_out(redirected)
    assert commands().hint(ModelConfig(id="v", cmd="vllm serve --port ${PORT}"), returned=True) == ""


def test_a_held_port_is_announced_once() -> None:
    assert commands().argv(("a", "b"), share=True) == ("a", "b", "--reuse-port")
    assert commands().argv(("a", "--reuse-port"), share=True) == ("a", "--reuse-port")


def test_the_embedded_engine_is_found_under_the_name_that_older_files_have_for_it() -> None:
    older = ("/venv/bin/python", "-P", "-m", "claracore.engines.embedded", "--port", "1")
    assert commands().argv(older, share=False) == ("/venv/bin/python", "-P", "-m", "claracore", "engine", "--port", "1")


@pytest.mark.parametrize(
    ("cmd", "shares"),
    [
        ("llama-server --port ${PORT}", True),
        ("llama-server --port 9000", False),
        ("python3 -m claracore engine --port ${PORT}", True),
        ("python3 -m claracore.engines.embedded --port ${PORT}", True),
        ("/usr/bin/claracore engine --port ${PORT}", True),
        ("/opt/new/llama-server --port ${PORT}", True),
        ("/opt/old/llama-server --port ${PORT}", False),
        ("vllm serve --port ${PORT}", False),
    ],
)
def test_who_can_share_a_port(cmd: str, shares: bool) -> None:  # noqa: FBT001 - an expectation
    book = commands(new={"--reuse-port"}, old={"--port"})
    model = ModelConfig(id="m", cmd=cmd)
    book.learn([model])
    assert book.can_share(model) is shares


@pytest.mark.parametrize(
    ("cmd", "tells"),
    [
        ("llama-server --port ${PORT}", True),
        ("python3 -m claracore engine --port ${PORT}", True),
        ("python3 -m claracore.engines.embedded --port ${PORT}", True),
        ("/opt/new/llama-server --host ${SOCKET}", True),
        ("/opt/old/llama-server --port ${PORT}", False),
        ("vllm serve --port ${PORT}", False),
        ("", False),
    ],
)
def test_who_tells_how_far_it_has_loaded(cmd: str, tells: bool) -> None:  # noqa: FBT001 - an expectation
    book = commands(new={"--reuse-port"}, old={"--port"})
    model = ModelConfig(id="m", cmd=cmd)
    book.learn([model])
    assert book.tells_state(model) is tells
    assert not commands(engine=None).tells_state(ModelConfig(id="m", cmd="llama-server"))


def test_a_unix_socket_needs_no_port_to_share() -> None:
    model = ModelConfig(id="m", cmd="llama-server --host ${SOCKET} --port ${PORT}", transport="unix")
    assert not commands().can_share(model)
