from __future__ import annotations

from pathlib import Path

from claracore.core.ports.listen import Listen
from claracore.host.setup.examine import examine


def told(text: str, *, strict: bool = False) -> list[str]:
    found = examine([("c.yaml", text)], env={}, listen=Listen(port=5800), strict=strict)
    assert found.usable == (not any(finding.severity == "error" for finding in found.findings))
    return [str(finding) for finding in found.findings]


def test_the_second_address_is_planned_with() -> None:
    text = "models: {x: {cmd: 'srv --port 11434', proxy: 'http://127.0.0.1:11434'}}"
    for ollama in (False, True):
        found = examine([("c.yaml", text)], env={}, listen=Listen(port=5800), ollama=ollama).findings
        assert any("on which ClaraCore itself listens" in finding.message for finding in found) == ollama


def test_programs_and_model_files_that_are_missing_are_warnings(tmp_path: Path) -> None:
    (tmp_path / "qwen-8b.gguf").write_text("")
    server = tmp_path / "llama-server"
    server.write_text("#!/bin/sh\n")
    text = f"""\
models:
  a: {{cmd: "{server} --port ${{PORT}} -m {tmp_path}/qwen8b.gguf --mmproj={tmp_path}/no/p.gguf"}}
  b: {{cmd: "no-such-program-here --port ${{PORT}}"}}
  c: {{cmd: "docker run -p ${{PORT}}:8080 x -m /inside/only.gguf"}}
  d: {{cmd: "{tmp_path}/llama-serve --port ${{PORT}} -m {tmp_path}/qwen-8b.gguf"}}
  e: {{cmd: "llama-server --port ${{PORT}} -m {tmp_path}/qwen-8b.gguf"}}
"""
    found = [line for line in told(text) if "docker" not in line]
    assert found == [
        f"c.yaml:2:7: warning: models.a.cmd: {server} may not be executed (chmod +x {server})",
        (
            f"c.yaml:2:7: warning: models.a.cmd: the file {tmp_path}/qwen8b.gguf does not exist"
            " (did you mean 'qwen-8b.gguf'?)"
        ),
        (
            f"c.yaml:2:7: warning: models.a.cmd: the file {tmp_path}/no/p.gguf does not exist"
            f" ({tmp_path}/no: No such file or directory)"
        ),
        (
            "c.yaml:3:7: warning: models.b.cmd: the program 'no-such-program-here' is not on PATH"
            " (install it, or write its whole path)"
        ),
        (
            f"c.yaml:5:7: warning: models.d.cmd: the program {tmp_path}/llama-serve does not exist"
            " (did you mean 'llama-server'?)"
        ),
    ]


def test_the_port_plan_is_asked_too() -> None:
    text = "models: {a: {cmd: 'llama-server --port 5800', proxy: 'http://127.0.0.1:5800'}}\n"
    assert any("5800" in line and "error" in line for line in told(text))


def test_a_file_that_does_not_load_has_the_findings_of_loading() -> None:
    assert told("models: [") == [line for line in told("models: [") if "not YAML" in line]
    assert "unknown key" in told("modles: {}", strict=True)[0]
