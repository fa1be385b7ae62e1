"""How is each verb used, and with which exit codes does it end?

Read for `--help` and for docs/reference/command-line.md only, so that no other call imports it. Examples are run by
tests/docs, with `qwen` as a model that is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXITS: Final[Mapping[int, str]] = {
    0: "done",
    1: "refused or failed; the message says why",
    2: "words that cannot be understood",
    3: "no server answers (verbs that ask one)",
    130: "interrupted (Ctrl-C)",
}
"""Of every verb."""

EXITS_OF: Final[Mapping[str, Mapping[int, str]]] = {
    "bench": {1: "an answer failed"},
    "config check": {1: "a file cannot be used"},
    "config diff": {1: "a file cannot be used"},
    "doctor": {1: "something is wrong"},
    "engines check": {1: "a build does not run, or the newest cannot be known"},
    "fit": {1: "it does not fit"},
    "ports": {1: "the plan has an error", 2: "the configuration cannot be read"},
    "ports why": {0: "the port is free", 1: "the port is taken"},
    "pull": {1: "it was not fetched, or not as a whole"},
    "replay": {1: "it decides anything else than what the log says"},
    "service logs": {0: "that of systemctl, launchctl or rc-service"},
    "service status": {0: "that of systemctl, launchctl or rc-service"},
    "setup": {1: "no model was found"},
}
"""What a code means for a verb that says more with it."""

EXAMPLES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "serve": (
        ("claracore serve", "what the usual configuration has"),
        ("claracore serve --models-folder ~/models", "a folder of GGUF files"),
        ("claracore serve --config my.yaml --listen :8080", "a file, on all interfaces"),
    ),
    "config check": (("claracore config check my.yaml", "what is wrong with it, with line and column"),),
    "config show": (("claracore config show my.yaml", "what it means, macros in place"),),
    "config schema": (("claracore config schema > schema.json", "for editors"),),
    "config migrate": (("claracore config migrate my.yaml --dry-run", "what would change"),),
    "config diff": (("claracore config diff --config my.yaml new.yaml", "which models would start anew"),),
    "ports": (("claracore ports", "the plan, and what is true right now"),),
    "ports why": (("claracore ports why 8100", "who has it"),),
    "keys add": (
        ("claracore keys add laptop", "it may use models"),
        ("claracore keys add ann --model qwen --tokens-per-day 100000 --expires 30d", "with limits"),
    ),
    "keys limit": (("claracore keys limit laptop --requests-per-minute 30", "other limits"),),
    "keys list": (("claracore keys list", ""),),
    "keys remove": (("claracore keys remove laptop", "it stops working at once"),),
    "pull": (
        ("claracore pull bartowski/Qwen_Qwen3-8B-GGUF:Q4_K_M", "this quantization"),
        ("claracore pull bartowski/Qwen_Qwen3-8B-GGUF --dry-run", "what would be fetched, and does it fit"),
    ),
    "setup": (
        ("claracore setup ~/models", "write the configuration, or merge into the one that is there"),
        ("claracore setup ~/models --dry-run", "what would be written"),
    ),
    "import ollama": (("claracore import ollama --dry-run", "what would be written"),),
    "import lm-studio": (("claracore import lm-studio --dry-run", ""),),
    "import llama-swap": (("claracore import llama-swap ~/llama-swap/config.yaml --dry-run", ""),),
    "fit": (
        ("claracore fit ~/models/qwen.gguf", "how it would run here"),
        ("claracore fit ~/models/qwen.gguf --choices", "in which other ways"),
    ),
    "hardware": (("claracore hardware", ""),),
    "engines list": (("claracore engines list", ""),),
    "engines install": (
        ("claracore engines install --dry-run", "which build, and why not another"),
        ("claracore engines install --backend vulkan", "this kind"),
        ("claracore engines install --build", "compiled here"),
    ),
    "engines update": (("claracore engines update", "the one before stays"),),
    "engines use": (("claracore engines use b11434", "what `llama-server` means from now on"),),
    "engines remove": (("claracore engines remove b11434", ""),),
    "engines check": (("claracore engines check", ""),),
    "engines add": (
        ("claracore engines add vllm --dry-run", "what would be installed and written"),
        ("claracore engines add mlx-lm", "an environment of its own, and a macro"),
    ),
    "status": (("claracore status --json", ""),),
    "ps": (("claracore ps --all", "those that are not loaded, too"),),
    "top": (("claracore top", "it stays until Ctrl-C"),),
    "nodes": (("claracore nodes", ""),),
    "nodes find": (("claracore nodes find --seconds 1", ""),),
    "nodes invite": (("claracore nodes invite", "prints the line for the other machine"),),
    "nodes drain": (("claracore nodes drain desk", "nothing new goes there"),),
    "nodes use": (("claracore nodes use desk", ""),),
    "nodes forget": (("claracore nodes forget desk", ""),),
    "join": (
        ("claracore join https://head.lan:5800#TOKEN", "as `claracore nodes invite` has printed it there"),
        ("claracore join --requests-only https://head.lan:5800#TOKEN", "and take no models from it"),
    ),
    "leave": (("claracore leave", ""),),
    "load": (("claracore load qwen", ""),),
    "unload": (("claracore unload qwen", "this one"), ("claracore unload", "all")),
    "conversations list": (("claracore conversations list", ""),),
    "conversations drop": (("claracore conversations drop qwen", ""),),
    "logs": (
        ("claracore logs qwen --lines 50", "what its server printed last"),
        ("claracore logs --follow", "ClaraCore's own, as it comes"),
    ),
    "requests": (("claracore requests", "with their ids"),),
    "doctor": (("claracore doctor", ""),),
    "replay": (("claracore replay debug.log", "of `claracore --log-level debug --log-file debug.log`"),),
    "chat": (
        ("claracore chat qwen --max-tokens 200", "a conversation"),
        ("claracore chat qwen 'Say hello.' --max-tokens 20", "one question"),
    ),
    "tune": (("claracore tune qwen --seconds 20", "nothing is written without --write"),),
    "bench": (("claracore bench qwen --requests 2 --max-tokens 16", ""),),
    "service install": (
        (
            "claracore service install --models-folder ~/models --manager systemd --dry-run",
            "what would be written and started",
        ),
    ),
    "service status": (("claracore service status", ""),),
    "service logs": (("claracore service logs --follow", ""),),
    "service uninstall": (("claracore service uninstall --manager systemd --dry-run", ""),),
    "upgrade": (("claracore upgrade", "after the new version was installed"),),
    "help": (("claracore help config check", "the same as --help"),),
}
"""By verb: command lines, each with what it does where that is not plain."""

NEEDS: Final[Mapping[str, str]] = {
    "engines add": "the network",
    "engines check": "the network",
    "engines install": "the network",
    "engines remove": "the network",
    "engines update": "the network",
    "engines use": "the network",
    "join": "another machine",
    "leave": "another machine",
    "nodes drain": "another machine",
    "nodes forget": "another machine",
    "nodes use": "another machine",
    "pull": "the network",
    "upgrade": "another program",
    "service logs": "another platform",
    "service status": "another platform",
}
"""What the examples of a verb need that a machine which tests them may lack."""
LONG: Final = frozenset({"tune"})


def examples(verb: str) -> str:
    """Return the examples of a verb as lines of a shell, aligned; empty for one that has none."""
    lines = EXAMPLES.get(verb, ())
    width = max((len(command) for command, why in lines if why), default=0)
    return "".join(f"{command:<{width}}  # {why}\n" if why else f"{command}\n" for command, why in lines)


def exits(verb: str) -> Mapping[int, str]:
    """Return what the exit codes of a verb mean."""
    return {**EXITS, **EXITS_OF.get(verb, {})}
