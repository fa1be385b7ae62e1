"""What is written for a shell is told, with what to write instead; what is quoted, or for a shell, is not."""

from __future__ import annotations

import pytest

from claracore.core.config.load import load
from claracore.core.config.shell import habits_in

SERVER = "llama-server --port ${PORT}"


@pytest.mark.parametrize(
    ("cmd", "found", "way_out"),
    [
        (f"CUDA_VISIBLE_DEVICES=0 {SERVER}", "CUDA_VISIBLE_DEVICES=...", 'env: ["CUDA_VISIBLE_DEVICES=..."]'),
        (f"HF_TOKEN=secret\n{SERVER}", "HF_TOKEN=...", 'env: ["HF_TOKEN=..."]'),
        (f'LD_LIBRARY_PATH="/a b" {SERVER}', "LD_LIBRARY_PATH=...", "env:"),
        (f"cd /opt/x && {SERVER}", "'cd' is no program", "sh -c"),
        (f". venv/bin/activate; {SERVER}", "'.' is no program", "sh -c"),
        (f"{SERVER} && echo over", "'&&'", "sh -c"),
        (f"{SERVER} -m /m.gguf; true", "'/m.gguf;'", "sh -c"),
        (f"{SERVER} || true", "'||'", "sh -c"),
        (f"{SERVER} &", "'&'", "foreground"),
        (f"{SERVER} | tee log", "'|'", "claracore logs"),
        (f"{SERVER} > log", "'>'", "claracore logs"),
        (f"{SERVER} >>log", "'>>log'", "claracore logs"),
        (f"{SERVER} 2>&1", "'2>&1'", "claracore logs"),
        (f"{SERVER} &>/dev/null", "'&>/dev/null'", "claracore logs"),
        (f"{SERVER} < /dev/null", "'<'", "remove it"),
        (f'{SERVER} >"my log"', "'>my log'", "claracore logs"),
        (f"~/bin/{SERVER}", "~/bin/llama-server", "${env.HOME}"),
        (f"{SERVER} -m ~/m.gguf", "~/m.gguf", "whole path"),
        (f"{SERVER} --model=~/m.gguf", "--model=~/m.gguf", "whole path"),
        (f'{SERVER} -m "~/m.gguf"', "~/m.gguf", "whole path"),
        (f"$HOME/bin/{SERVER}", "$HOME", "${env.HOME}"),
        (f'{SERVER} -m "$HOME/m.gguf"', "$HOME", "whole path"),
        (f"{SERVER} -m $MODELS/m.gguf", "$MODELS", "${env.MODELS}"),
        ("llama-server --port $PORT", "$PORT", "write ${PORT}"),
        (f"{SERVER} -t $(nproc)", "$(nproc)", "what it gives"),
        (f"{SERVER} -t `nproc`", "`nproc`", "what it gives"),
        (f"{SERVER} -m /models/*.gguf", "/models/*.gguf", "whole path"),
        (f"sh -c 'exec {SERVER}' > log", "'>'", "claracore logs"),
    ],
)
def test_a_habit_is_told(cmd: str, found: str, way_out: str) -> None:
    [habit, *_] = habits_in(cmd)
    assert found in habit.found
    assert way_out in habit.way_out
    assert "secret" not in str(habits_in(cmd)), "a value may be a key"


@pytest.mark.parametrize(
    "cmd",
    [
        "",
        SERVER,
        "llama-server --host ${SOCKET}",
        f"env CUDA_VISIBLE_DEVICES=0 {SERVER}",
        f"sh -c 'cd $HOME && X=1 exec {SERVER} > ~/log &'",
        f'bash -lc "cd $HOME; exec {SERVER} -m /models/*.gguf"',
        f"env A=b sh -c 'exec {SERVER} -t $(nproc)'",
        f"ssh box {SERVER} -m '$HOME/m.gguf' && true",
        f"wsl.exe {SERVER} > log",
        f"{SERVER} --name '$x > y && z' --grammar 'a | b'",
        f'{SERVER} --name "\\$HOME" --other \\$HOME \\> \\&\\&',
        f"{SERVER} -ot blk.(1|2).*=CPU;x=CUDA0",
        f"{SERVER} --reverse-prompt <|im_end|> --in-prefix <s>",
        f"{SERVER} --price $5",
        f"{SERVER} --url http://h/~ann/?a=1&b=2",
        f"{SERVER} -m a~b.gguf # not > a comment"[: len(SERVER) + 12],
    ],
)
def test_what_is_meant_is_not_told(cmd: str) -> None:
    assert habits_in(cmd) == []


def test_each_kind_is_told_once() -> None:
    assert len(habits_in(f"A=1 {SERVER} && x && y > a > b -m $A $B ~/a ~/b")) == 5


def test_the_file_still_loads_and_says_where() -> None:
    loaded = load("models:\n  m:\n    cmd: A=1 x --port ${PORT} > log\n    cmdStop: stop && x\n", env={})
    assert loaded.config is not None
    assert [(f.place and f.place.line, f.severity, f.path) for f in loaded.findings] == [
        (3, "warning", "models.m.cmd"),
        (3, "warning", "models.m.cmd"),
        (4, "warning", "models.m.cmdStop"),
    ]
