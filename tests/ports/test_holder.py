from __future__ import annotations

import pytest

from claracore.core.ports.holder import Owner, duration, program_name
from claracore.core.ports.messages import explain, fixed_taken, moved, nothing_free
from claracore.core.ports.ranges import Range
from claracore.types import Place

NOW = 1_000_000.0
COMFY = Owner(4121, "ComfyUI's python3", "ann", NOW - 3 * 3600, ("0.0.0.0:8100",))


def test_the_message_that_ports_md_promises() -> None:
    home = Range("(default)", 8100, 65535, ("qwen3-8b",), place=Place("config.yaml", 3, 1))
    finding = moved("qwen3-8b", 8100, 8101, COMFY.describe(NOW), home)
    assert explain(finding) == (
        "port 8100 is taken by ComfyUI's python3 (pid 4121, user ann, listening on 0.0.0.0:8100 for 3 h)\n"
        '  model "qwen3-8b" was given 8101 instead\n'
        "  to keep 8100 for models, stop that process or set startPort to 8101 in config.yaml line 3"
    )


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        (Owner(None), "a process that this user may not look into"),
        (
            Owner(None, user="root", addresses=("127.0.0.1:8100",)),
            "a process that this user may not look into (user root, listening on 127.0.0.1:8100)",
        ),
        (Owner(7, "nginx", "www", addresses=("a:1", "b:1")), "nginx (pid 7, user www, listening on a:1 and b:1)"),
        (Owner(7, "x", addresses=("a:1",), listening=False), "x (pid 7, bound to a:1)"),
    ],
)
def test_what_is_not_known_is_left_out(owner: Owner, words: str) -> None:
    assert owner.describe(NOW) == words


@pytest.mark.parametrize(
    ("name", "argv", "expected"),
    [
        ("python3", ["python3", "/home/ann/ComfyUI/main.py", "--listen"], "ComfyUI's python3"),
        ("python3.12", ["python3.12", "-u", "train.py"], "train's python3.12"),
        ("python", ["python", "-m", "vllm.entrypoints.api"], "vllm's python"),
        ("node", ["node", "/srv/chat/index.js"], "chat's node"),
        ("python3", ["python3", "-c", "x"], "python3"),
        ("python3", ["python3"], "python3"),
        ("java", ["java", "-jar", "/opt/jenkins.war"], "jenkins's java"),
        ("nginx", ["nginx: master"], "nginx"),
    ],
)
def test_what_a_person_calls_a_process(name: str, argv: list[str], expected: str) -> None:
    assert program_name(name, argv) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (5, "5 s"), (89, "89 s"), (120, "2 min"), (3 * 3600, "3 h"), (86400 * 3, "3 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_full_range_names_those_who_fill_it() -> None:
    text = nothing_free("m", Range("g", 8100, 8101, ("m",)), {8100: "nginx (pid 7)", 8101: "x"})
    assert text == (
        'no port in 8100-8101 is free for model "m"\n  8100: nginx (pid 7)\n  8101: x\n'
        "  stop one of these processes or set groups.g.startPort to another number"
    )


def test_a_taken_fixed_port() -> None:
    assert "is taken by nginx (pid 7)" in fixed_taken("m", 9000, "nginx (pid 7)")
