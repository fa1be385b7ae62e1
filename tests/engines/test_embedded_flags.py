"""llama-server's flags, parsed (engines/embedded_flags.py and the pure half of engines/embedded.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.host.engines import abilities, arguments, embedded_flags, llama_flags
from claracore.host.engines.embedded import (
    HUB_FLAG,
    Setting,
    UsageError,
    apply,
    defaults,
    help_text,
    model_problem,
    parse,
)
from claracore.host.engines.llama_flags import LLAMA_FLAGS, VERSION
from tool import tool

HELPS = Path(__file__).with_name("helps")

xllamacpp = pytest.importorskip("xllamacpp")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-m model.gguf", {"model.path": "model.gguf"}),
        ("--port 8100 --host 0.0.0.0", {"port": 8100, "hostnames": ["0.0.0.0"]}),
        ("-c 4096 -ngl 99 -b 512 -ub 256", {"n_ctx": 4096, "n_gpu_layers": 99, "n_batch": 512, "n_ubatch": 256}),
        ("--ctx_size 1", {"n_ctx": 1}),
        ("-ngl all", {"n_gpu_layers": -2}),
        ("-ngl auto", {"n_gpu_layers": -1}),
        ("-fa", {"flash_attn_type": 1}),
        ("-fa -ngl 1", {"flash_attn_type": 1, "n_gpu_layers": 1}),
        ("-fa off", {"flash_attn_type": 0}),
        ("--flash-attn auto", {"flash_attn_type": -1}),
        ("-ctk q8_0 -ctv q4_0", {"cache_type_k": 8, "cache_type_v": 2}),
        ("--no-mmap --mlock", {"mmap": False, "mlock": True}),
        ("--jinja", {"use_jinja": True}),
        ("--no-webui", {"ui": False}),
        ("--no-cont-batching", {"cont_batching": False}),
        ("-nkvo", {"no_kv_offload": True}),
        ("-kvo", {"no_kv_offload": False}),
        ("--embeddings --pooling mean", {"embedding": True, "pooling_type": 1}),
        ("--reranking", {"embedding": True, "pooling_type": 4}),
        ("-a qwen,qwen3", {"model_alias": {"qwen", "qwen3"}}),
        ("-to 600", {"timeout_read": 600, "timeout_write": 600}),
        ("--api-key a,b", {"+api_keys": ["a", "b"]}),
        ("--lora-scaled x:y.gguf:0.5", {"+lora_adapters": [("x:y.gguf", 0.5)]}),
        ("-ncmoe 1", {"+tensor_buft_overrides": r"blk\.0\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"}),
        ('--chat-template-kwargs {"think":false}', {"default_template_kwargs": {"think": "false"}}),
        ("--rope-scale 4", {"rope_freq_scale": 0.25}),
        ("--seed -1", {"sampling.seed": 0xFFFFFFFF}),
        ("-n -1", {"n_predict": -1}),
        ("-ncffn 1", {"+tensor_buft_overrides": r"blk\.0\.ffn_(up|down|gate)\.=CPU"}),
        ("-lzm off --no-cache-idle-slots", {"lazy_mode": 0, "cache_idle_slots": False}),
        ("-r Stop.", {"+antiprompt": ["Stop."]}),
        (
            "-md draft.gguf --draft-max 8",
            {"speculative.draft.mparams.path": "draft.gguf", "speculative.draft.n_max": 8},
        ),
        ("--spec-type ngram-simple,ngram-mod", {"speculative.types": [6, 9]}),
        ("--numa distribute --prio high", {"numa": 1, "cpuparams.priority": 2}),
    ],
)
def test_flags_become_settings(line: str, expected: dict[str, object]) -> None:
    assert dict(parse(line.split())) == expected


def test_lists_for_each_device_are_filled_up() -> None:
    assert dict(parse(["-ts", "3,1", "-fitt", "512"])) == {
        "tensor_split": [3.0, 1.0] + [0.0] * 126,
        "fit_params_target": [512 << 20] * 128,
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--ctx-sise 1", "unknown flag --ctx-sise; did you mean --ctx-size"),
        ("--reuseport", "did you mean --reuse-port"),
        ("model.gguf", "'model.gguf' is not a flag"),
        ("--jinja true", "'true' is not a flag, and no flag before it takes a value"),
        ("-c", "-c needs a value: N"),
        ("-c many", "-c 'many' must be a whole number"),
        ("-c -5", "-c '-5' must be between 0"),
        ("--port 65536", "--port '65536' must be between 0 and 65535"),
        ("-ctk q9_9", "-ctk 'q9_9' must be one of f32, f16"),
        ("--temp hot", "--temp 'hot' must be a number"),
        ("--chat-template-kwargs []", "must be a JSON object"),
        ("--chat-template-file /nowhere", "cannot be read"),
        ("--lora-scaled a.gguf", "must be FILE:SCALE"),
        ("--spec-type magic", "must be of none, draft-simple"),
        ("--device CUDA0", "--device is a flag of llama-server that the embedded engine cannot honour"),
    ],
)
def test_what_is_wrong_is_said(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    assert message in str(caught.value)


SAMPLES = ("1", "on", "f16", "none", "a:0.5", "/etc/hostname", '{"a":1}', "linear", "distribute", "[a]=CPU")
ONLY_REAL_DEVICES = {"-devd", "--device-draft", "--spec-draft-device"}


@pytest.mark.parametrize("flag", sorted(set(embedded_flags.OPTIONS) - ONLY_REAL_DEVICES))
def test_every_flag_fits_a_real_field(flag: str) -> None:
    option = embedded_flags.OPTIONS[flag]
    settings = [Setting(field, value) for field, value in option.values.items()]
    if option.argument:
        value = "x=CPU" if flag in {"-ot", "--override-tensor"} else converted(option)
        settings = [Setting(field, value) for field in option.fields]
    params = xllamacpp.CommonParams()
    apply(params, settings, xllamacpp.CommonAdapterLoraInfo)
    for field, value in settings:
        if field in {"mmap", "mlock", "direct_io", "+lora_adapters", "sampling.samplers"}:
            continue
        target = params
        for step in field.removeprefix("+").split("."):
            target = getattr(target, step)
        assert target == pytest.approx(value) if isinstance(value, float) else target == value


def converted(option: embedded_flags.Option) -> object:
    for sample in SAMPLES:
        try:
            return option.convert(sample)
        except ValueError:
            continue
    raise AssertionError(option.flags)


def test_repeated_lists_add_up() -> None:
    params = xllamacpp.CommonParams()
    apply(
        params, parse(["--api-key", "a", "--api-key", "b,c", "-ot", "x=CPU", "-cmoe"]), xllamacpp.CommonAdapterLoraInfo
    )
    assert params.api_keys == ["a", "b", "c"]
    assert params.tensor_buft_overrides == r"x=CPU,\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"


def test_what_the_user_sampled_wins_over_the_models_metadata() -> None:
    params = xllamacpp.CommonParams()
    apply(params, parse(["--temp", "0", "--top-k", "1"]), xllamacpp.CommonAdapterLoraInfo)
    names = xllamacpp.common_params_sampling_config
    wanted = names.COMMON_PARAMS_SAMPLING_CONFIG_TEMP | names.COMMON_PARAMS_SAMPLING_CONFIG_TOP_K
    assert params.sampling.user_sampling_config == wanted


def test_the_numbers_of_enums_are_llama_cpps() -> None:
    for name, number in (("q8_0", 8), ("bf16", 30), ("iq4_nl", 20), ("q5_1", 7)):
        assert arguments.CACHE_TYPE(name) == getattr(xllamacpp.ggml_type, f"GGML_TYPE_{name.upper()}") == number
    for name, number in arguments.SPECULATION.items():
        kind = f"COMMON_SPECULATIVE_TYPE_{name.upper().replace('-', '_')}"
        assert getattr(xllamacpp.common_speculative_type, kind) == number


def test_defaults_are_those_of_llama_server() -> None:
    assert dict(defaults([])) == {"port": 8080, "n_parallel": 4, "kv_unified": True, "load_mode": -1}
    assert dict(defaults(parse(["-np", "2", "--port", "0"])))["n_parallel"] == 2
    assert "kv_unified" not in dict(defaults(parse(["-np", "2"])))
    assert dict(defaults(parse(["-md", "d.gguf"])))["speculative.types"] == [1]


@pytest.mark.parametrize(
    ("line", "mode"),
    [("", "AUTO"), ("--mmap", "MMAP"), ("--no-mmap", "NONE"), ("--mlock", "MMAP_MLOCK"), ("--mlock --no-mmap", "MLOCK"),
     ("-dio", "DIRECT_IO"), ("--load-mode mmap+mlock", "MMAP_MLOCK"), ("-lm dio", "DIRECT_IO")],
)  # fmt: skip
def test_how_the_file_is_read(line: str, mode: str) -> None:
    assert dict(defaults(parse(line.split())))["load_mode"] == getattr(
        xllamacpp.llama_load_mode, f"LLAMA_LOAD_MODE_{mode}"
    )


def test_help_names_every_flag_in_llama_servers_layout() -> None:
    assert abilities.flags(help_text()) == embedded_flags.FLAGS
    assert "--reuse-port" in embedded_flags.FLAGS


def test_a_flag_has_one_meaning() -> None:
    names = [flag for rows in embedded_flags.SECTIONS.values() for row in rows for flag in row.flags]
    assert len(names) == len(set(names))


def test_every_flag_of_the_newest_llama_server_is_known_or_known_to_be_missing() -> None:
    real = abilities.flags(HELPS.joinpath(f"{VERSION}.txt").read_text())
    assert len(real) > 400
    assert real <= LLAMA_FLAGS
    for flag in LLAMA_FLAGS - embedded_flags.FLAGS:
        with pytest.raises(UsageError, match=r"the embedded engine (cannot honour|fetches nothing)"):
            parse([flag])


def test_the_list_of_llama_servers_flags_is_what_the_tool_makes() -> None:
    made = tool("engine_flags").module(VERSION, HELPS.joinpath(f"{VERSION}.txt").read_text())
    kept = Path(llama_flags.__file__).read_text()
    assert kept == made, "run `python tools/engine_flags.py tests/engines/helps/BUILD.txt`"


def test_the_tool_asks_a_llama_server_itself(tmp_path: Path) -> None:
    binary = tmp_path / "llama-server"
    answers = "--version) echo 'version: 12 (ab)' >&2 ;; *) echo '-x, --ex N   some' ;;"
    binary.write_text(f"#!/bin/sh\ncase $1 in {answers} esac\n")
    binary.chmod(0o755)
    version, help_text = tool("engine_flags").asked(binary)
    assert version == "12 (ab)"
    assert abilities.flags(help_text) == {"-x", "--ex"}


def test_flags_that_download_from_the_hub_are_told_apart() -> None:
    assert {flag for flag in LLAMA_FLAGS if HUB_FLAG in flag} == {
        "-hf", "-hfr", "--hf-repo", "-hff", "--hf-file", "-hft", "--hf-token", "-hfd", "-hfrd", "--hf-repo-draft",
        "--spec-draft-hf",
    }  # fmt: skip


def test_a_model_that_is_to_be_downloaded_need_not_exist() -> None:
    assert model_problem(parse(["-mu", "http://h/m.gguf", "-m", "/nowhere/m.gguf"])) is None
    assert model_problem(parse(["-mu", "http://h/m.gguf"])) == "-mu needs -m FILE too: that is where the download goes"
    assert model_problem([]) == "no model: give one with -m FILE"


def test_a_model_of_hugging_face_is_refused_with_a_way_out_and_not_with_a_traceback() -> None:
    with pytest.raises(UsageError, match="-hf: the embedded engine fetches nothing from Hugging Face; download"):
        parse(["-hf", "ggml-org/gemma-3-1b-it-GGUF"])
