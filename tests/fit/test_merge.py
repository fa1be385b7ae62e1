"""A second setup on a file that a person has changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from claracore.core.config import lines, tree
from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.core.fit.budget import budget_of
from claracore.core.fit.case import Wishes
from claracore.core.fit.catalog import LARGE, Candidate, choose
from claracore.core.fit.document import Setup, document
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.machine import Hardware, Memory, Processor
from claracore.core.fit.merge import Merged, Present, merge
from claracore.core.fit.model_paths import model_paths
from claracore.core.gguf.model import ModelFacts
from claracore.core.units import GIB
from claracore.types import Finding
from fit.shapes import GEMMA, LLAMA_8B, NOMIC, QWEN3_30B_A3B, SMOLLM2

SHAPES: dict[str, ModelFacts] = {
    "smollm2": SMOLLM2, "gemma": GEMMA, "llama-8b": LLAMA_8B, "nomic": NOMIC, "qwen3-30b": QWEN3_30B_A3B
}  # fmt: skip
ABILITIES = KnownFlags(frozenset(["--ctx-size", "--threads", "--kv-unified", "--parallel"]))


def machine(ram_gib: int = 64, cores: int = 8) -> Hardware:
    return Hardware(Processor("x", cores * 2, cores, cores), Memory(ram_gib * GIB, ram_gib * GIB))


def setup_of(names: Sequence[str], hardware: Hardware | None = None, known_flags: KnownFlags = ABILITIES) -> Setup:
    hardware = hardware or machine()
    candidates = [
        Candidate(name, f"/models/{name}.gguf", SHAPES[name], name.title(), "", (f"{name}-alias",)) for name in names
    ]
    catalog = choose(candidates, budget_of(hardware), Wishes(), known_flags)
    return Setup(catalog.chosen, hardware, ("llama-server",), "llama-server b7000", known_flags, "schema.json")


def loaded(text: str) -> Config:
    result = load(text, env={})
    assert result.findings == (), [str(finding) for finding in result.findings]
    assert result.config is not None
    return result.config


def merged(text: str, setup: Setup, missing: Sequence[str] = (), listen_port: int = 5800) -> Merged:
    config = load(text, env={}).config
    assert config is not None
    paths = model_paths({name: model.cmd for name, model in config.models.items()})
    result = merge(text, setup, Present(paths, frozenset(missing)), today="2026-11-23", listen_port=listen_port)
    loaded(result.text)
    again = model_paths({name: model.cmd for name, model in loaded(result.text).models.items()})
    twice = merge(result.text, setup, Present(again, frozenset(missing)), today="2026-12-24", listen_port=listen_port)
    assert twice.text == result.text, "a third run must change nothing"
    return result


ALL = ("gemma", "llama-8b", "nomic", "smollm2")


def test_the_same_setup_changes_nothing() -> None:
    text = document(setup_of(ALL))
    result = merged(text, setup_of(ALL))
    assert result.text == text
    assert (result.added, result.refreshed, result.kept, result.vanished) == ([], [], [], [])


def test_another_machine_refreshes_what_nobody_touched() -> None:
    text = document(setup_of(ALL))
    result = merged(text, setup_of(ALL, machine(cores=4)))
    assert sorted(result.refreshed) == [f"{name}.cmd" for name in ALL]
    assert result.text.split("models:")[1] == document(setup_of(ALL, machine(cores=4))).split("models:")[1]


def test_hand_edits_stay() -> None:
    text = document(setup_of(ALL))
    edited = (
        text.replace("--ctx-size 2048", "--ctx-size 1024")
        .replace("ttl: 1800", "ttl: 60 # soon", 1)
        .replace("name: Gemma", "# my favourite\n    name: Gemma the Great")
        .replace("startPort: 8100", "startPort: 9000")
        .replace('    aliases: ["gemma-alias"]\n', "")
        .replace("models:\n", "# mine: do not touch\nlogLevel: debug\n\nmodels:\n", 1)
    )
    result = merged(edited, setup_of(ALL, machine(cores=4)))
    config = loaded(result.text)
    assert "--ctx-size 1024" in config.models["nomic"].cmd
    assert "--threads 8" in config.models["nomic"].cmd
    assert "--threads 4" in config.models["smollm2"].cmd
    assert config.models["llama-8b"].ttl_seconds == 60
    assert "ttl: 60 # soon" in result.text
    assert config.models["gemma"].name == "Gemma the Great"
    assert "    # my favourite\n" in result.text
    assert config.models["gemma"].aliases == ()
    assert config.start_port == 9000
    assert "# mine: do not touch\nlogLevel: debug\n" in result.text
    assert sorted(result.kept) == ["gemma.name", "llama-8b.ttl", "nomic.cmd", "startPort"]


def test_a_comment_of_ones_own_stays_above_a_refreshed_value() -> None:
    text = document(setup_of(["smollm2"]))
    edited = text.replace("    cmd: |", "    # careful with this one\n    cmd: |")
    result = merged(edited, setup_of(["smollm2"], machine(cores=4)))
    assert "    # careful with this one\n    cmd: |\n" in result.text
    assert "--threads 4" in result.text


def test_new_models_come_behind_the_others_and_into_their_groups() -> None:
    text = document(setup_of(["llama-8b", "smollm2"]))
    result = merged(text, setup_of(["llama-8b", "smollm2", "nomic", "gemma"]))
    assert result.added == ["gemma", "nomic"]
    config = loaded(result.text)
    assert list(config.models) == ["llama-8b", "smollm2", "gemma", "nomic"]
    assert config.groups["small-models"].members == ("gemma", "nomic", "smollm2")
    assert result.text.startswith(text.split("groups:")[0].rstrip())


def test_a_setup_of_other_models_leaves_large_ones_their_time_to_load() -> None:
    text = document(setup_of(["qwen3-30b", "smollm2"]))
    seconds = loaded(text).health_check_timeout
    few = merged(text, setup_of(["smollm2"]))
    assert (
        loaded(few.text).health_check_timeout == seconds > loaded(document(setup_of(["smollm2"]))).health_check_timeout
    )
    assert few.text == text
    gone = merged(text, setup_of(["smollm2"]), missing=["qwen3-30b"])
    assert loaded(gone.text).health_check_timeout < seconds


def test_groups_that_a_person_arranged_only_grow() -> None:
    text = document(setup_of(["llama-8b", "smollm2", "gemma"]))
    edited = text.replace("      - smollm2\n", "").replace("      - llama-8b\n", "      - smollm2\n      - llama-8b\n")
    result = merged(edited, setup_of(["llama-8b", "smollm2", "gemma", "nomic"]))
    config = loaded(result.text)
    assert config.groups["large-models"].members == ("smollm2", "llama-8b")
    assert config.groups["small-models"].members == ("gemma", "nomic")


def test_a_renamed_model_keeps_its_name() -> None:
    text = document(setup_of(ALL)).replace("  smollm2:", "  my-little-one:").replace("- smollm2", "- my-little-one")
    result = merged(text, setup_of(ALL, machine(cores=4)))
    config = loaded(result.text)
    assert result.added == []
    assert "--threads 4" in config.models["my-little-one"].cmd
    assert "my-little-one" in config.groups["small-models"].members


def test_a_vanished_file_is_marked_and_hidden_until_it_is_back() -> None:
    text = document(setup_of(ALL))
    rest = [name for name in ALL if name != "gemma"]
    result = merged(text, setup_of(rest), missing=["gemma"])
    assert result.vanished == ["gemma"]
    assert "    # file missing since 2026-11-23: /models/gemma.gguf\n    unlisted: true" in result.text
    assert loaded(result.text).models["gemma"].unlisted
    assert "gemma" in loaded(result.text).groups["small-models"].members
    back = merged(result.text, setup_of(ALL))
    assert back.returned == ["gemma"]
    assert back.text == text


def test_a_file_of_ones_own_gets_what_it_lacks() -> None:
    text = """\
# the file of a person
startPort: 5800
macros:
    "latest": "/usr/bin/llama-server --port ${PORT}"
models:
    # the old one
    "mine":
        cmd: ${latest} -m /models/smollm2.gguf -c 512
        aliases:
            - gemma

groups:
    forever:
        persistent: true
        swap: false
        members:
        - mine
"""
    result = merged(text, setup_of(ALL))
    config = loaded(result.text)
    assert config.start_port == 8100
    assert result.notes == ["startPort 5800 -> 8100: port 5800 is ClaraCore's own"]
    assert config.models["mine"].cmd.endswith("-m /models/smollm2.gguf -c 512")
    assert "smollm2" not in config.models
    assert result.added == ["gemma-2", "llama-8b", "nomic"]
    assert config.models["llama-8b"].cmd.startswith("llama-server --host 127.0.0.1")
    assert config.groups["forever"].members == ("mine",)
    assert config.groups["small-models"].members == ("gemma-2", "nomic")
    assert '    # the old one\n    "mine":\n        cmd: ${latest} -m /models/smollm2.gguf -c 512\n' in result.text


def test_a_start_port_that_is_not_in_the_way_stays() -> None:
    text = "startPort: 5800\nmodels: {}\n"
    assert loaded(merged(text, setup_of(["smollm2"]), listen_port=8080).text).start_port == 5800
    assert loaded(merged("startPort: 8090\n", setup_of(["smollm2"]), listen_port=8080).text).start_port == 8090


def test_a_macro_of_the_same_name_that_takes_no_port_is_left_alone() -> None:
    text = "macros:\n  llama-server: /usr/bin/llama-server\nmodels:\n  a:\n    cmd: ${llama-server} --port ${PORT}\n"
    config = loaded(merged(text, setup_of(["smollm2"])).text)
    assert config.models["a"].cmd == "/usr/bin/llama-server --port ${PORT}"
    assert config.models["smollm2"].cmd.startswith("llama-server --host 127.0.0.1 --port ${PORT}")


@pytest.mark.parametrize(
    "text", ["models: {}\n", "models:\n", "logLevel: info\n", "models: {}\ngroups: {}\nmacros: {}\n"]
)
def test_files_without_models(text: str) -> None:
    config = loaded(merged(text, setup_of(["smollm2", "llama-8b"])).text)
    assert set(config.models) == {"smollm2", "llama-8b"}
    assert config.groups["large-models"].members == ("llama-8b",)


def test_windows_line_ends_stay() -> None:
    text = document(setup_of(["smollm2"])).replace("\n", "\r\n")
    result = merged(text, setup_of(["smollm2", "nomic"]))
    assert result.text.count("\n") == result.text.count("\r\n")


def test_what_cannot_be_changed_line_by_line_is_refused() -> None:
    text = "models: {a: {cmd: 'x --port ${PORT}'}}\n"
    with pytest.raises(ValueError, match="on one line"):
        merge(text, setup_of(["smollm2"]), Present({}, frozenset()), today="2026-11-23", listen_port=5800)


def test_a_model_that_moves_to_another_group_takes_nothing_with_it() -> None:
    text = document(setup_of(["gemma", "llama-8b"]))
    assert loaded(text).groups["small-models"].members == ("gemma",)
    heavy = setup_of(["gemma"])
    alone = replace(heavy, chosen=tuple(replace(item, group=LARGE) for item in heavy.chosen))
    result = merged(text, alone, missing=["llama-8b"])
    assert loaded(result.text).groups["large-models"].members == ("gemma", "llama-8b")
    assert loaded(result.text).models["gemma"].ttl_seconds == 1800
    again = merged(result.text, setup_of(["gemma", "llama-8b"]))
    assert again.text == text, "the ttl of large models is taken out again"
    edited = result.text.replace("ttl: 1800", "ttl: 5", 1)
    assert "ttl: 5\n" in merged(edited, setup_of(["gemma", "llama-8b"])).text


def test_comments_below_a_refreshed_command_stay() -> None:
    text = document(setup_of(["smollm2"]))
    edited = text.replace("    name: ", "    # of mine\n      # and more\n    name: ").replace(
        "    aliases:", "# left\n      # deep\n    aliases:"
    )
    result = merged(edited, setup_of(["smollm2"], machine(cores=4)))
    assert "--threads 4" in result.text
    assert "    # of mine\n      # and more\n    name: " in result.text
    assert "# left\n      # deep\n    aliases:" in result.text


BASE = document(setup_of(ALL))


@settings(max_examples=60)
@given(
    notes=st.lists(st.tuples(st.integers(6, len(BASE.splitlines()) - 1), st.sampled_from([0, 2, 4, 6])), max_size=8),
    ttl=st.none() | st.integers(1, 9),
    threads=st.sampled_from([2, 8]),
    gone=st.sampled_from(["", "gemma", "llama-8b"]),
    cut=st.sampled_from(["", '    aliases: ["nomic-alias"]\n', "    ttl: 1800\n", "      - gemma\n", "  # setup:"]),
)
def test_whatever_a_person_adds_survives(
    notes: list[tuple[int, int]], ttl: int | None, threads: int, gone: str, cut: str
) -> None:
    text = BASE.replace(cut, "", 1) if cut else BASE
    text = text if ttl is None else text.replace("ttl: 1800", f"ttl: {ttl}", 1)
    lines = text.splitlines()
    for number, (line, indent) in enumerate(notes):
        lines.insert(min(line, len(lines)), f"{' ' * indent}# note {number} of mine")
    edited = "\n".join(lines) + "\n"
    # A comment line less indented than the block text around it ends that text: not a valid file.
    assume(not load(edited, env={}).findings)
    names = [name for name in ALL if name != gone]
    result = merged(edited, setup_of(names, machine(cores=threads)), missing=[gone] if gone else [])
    for number in range(len(notes)):
        assert f"# note {number} of mine" in result.text
    if ttl is not None and cut != "    ttl: 1800\n":
        assert f"ttl: {ttl}\n" in result.text
    if "gemma" in cut and gone != "gemma":
        assert loaded(result.text).group_of("gemma") == "(default)"
    if cut.startswith("    aliases"):
        assert loaded(result.text).models["nomic"].aliases == ()


def test_gently_means_that_nothing_that_runs_starts_anew() -> None:
    """On 16 GiB an embedding model takes memory that the large one was given for its prompt cache."""
    small, today = machine(16), KnownFlags((ABILITIES.flags or frozenset()) | {"--cache-ram"})
    text = document(setup_of(["llama-8b", "gemma"], small, today))
    new = setup_of(["llama-8b", "gemma", "nomic"], small, today)
    before, after = loaded(text), loaded(merged(text, new).text)
    assert before.models["llama-8b"].cmd != after.models["llama-8b"].cmd, "else this test shows nothing"
    result = merge(text, new, present_in(text), today="2026-11-23", listen_port=5800, gently=True)
    config = loaded(result.text)
    assert result.added == ["nomic"]
    assert {name: config.models[name].cmd for name in before.models} == {
        name: model.cmd for name, model in before.models.items()
    }
    assert config.groups["large-models"].members == ("llama-8b", "nomic")
    assert config.groups["small-models"] == before.groups["small-models"]
    again = merge(result.text, new, present_in(result.text), today="2026-11-23", listen_port=5800, gently=True)
    assert again.text == result.text
    refreshed = loaded(merged(result.text, new).text)
    assert refreshed.models["llama-8b"].cmd == after.models["llama-8b"].cmd
    assert refreshed.groups["small-models"].members == ("gemma", "nomic")


def test_gently_changes_what_disturbs_nobody() -> None:
    text = document(setup_of(["llama-8b"]))
    new = setup_of(["llama-8b", "nomic"])
    result = merge(text, new, present_in(text), today="2026-11-23", listen_port=5800, gently=True)
    assert result.text == merged(text, new).text
    assert loaded(result.text).groups["small-models"].members == ("nomic",)


def present_in(text: str) -> Present:
    config = loaded(text)
    return Present(model_paths({name: model.cmd for name, model in config.models.items()}), frozenset())


def many(count: int, hardware: Hardware | None = None) -> Setup:
    """A setup of so many models; each is placed as smollm2 is."""
    one = setup_of(["smollm2"], hardware)
    chosen = [
        replace(item, candidate=replace(item.candidate, id=f"m{n}", path=f"/models/m{n}.gguf", aliases=(f"alias-{n}",)))
        for n in range(count)
        for item in one.chosen
    ]
    return replace(one, chosen=chosen)


@pytest.mark.parametrize("count", [3, 60])
@pytest.mark.parametrize("gently", [False, True])
def test_a_text_is_read_once_and_what_comes_of_it_once_if_anything_changes(
    count: int,
    gently: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = document(many(count))
    paths = model_paths({name: model.cmd for name, model in loaded(text).models.items()})
    readings: list[str] = []
    parse = tree.parse

    def counting(text: str, file: str) -> tuple[tree.MappingNode, list[Finding]]:
        readings.append(text)
        return parse(text, file)

    monkeypatch.setattr(tree, "parse", counting)
    monkeypatch.setattr(lines, "parse", counting)
    setup = many(count, machine(cores=4))
    result = merge(text, setup, Present(paths, frozenset()), today="2026-11-23", listen_port=5800, gently=gently)
    assert len(result.refreshed) == (0 if gently else count)
    assert (result.text == text) is gently
    assert readings == ([text] if gently else [text, result.text])


def test_sections_that_are_missing_come_behind_all_else_whatever_the_text_ends_with() -> None:
    for end in ("", "\n", "\n\n\n", "\n# mine\n"):
        result = merged(f"logLevel: info{end}", setup_of(["smollm2", "nomic"]))
        assert result.text.startswith("logLevel: info\n")
        assert [line for line in result.text.splitlines() if line and line[0] not in " #"] == [
            "logLevel: info", "macros:", "models:", "groups:"
        ]  # fmt: skip
        assert ("# mine" in result.text) == ("# mine" in end)


def test_a_file_whose_groups_decide_keeps_their_rules() -> None:
    old = replace(setup_of(ALL), by_memory=False)
    text = document(old)
    assert "use: memory" not in text
    assert loaded(text).groups["small-models"].persistent
    assert merged(text, old).text == text
    assert "use: memory" in document(setup_of(ALL))
    assert "persistent" not in document(setup_of(ALL))


def test_a_model_without_a_command_names_no_file() -> None:
    assert model_paths({"away": "", "near": "llama-server -m /a.gguf"}) == {"near": "/a.gguf"}
