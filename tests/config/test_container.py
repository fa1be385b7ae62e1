"""A model's container: what it becomes, and what is wrong with it."""

from __future__ import annotations

import pytest

from claracore.core.config.command import bind, uses_port
from claracore.core.config.container import ContainerConfig
from claracore.core.config.container_command import (
    ContainerMount,
    ContainerRuntime,
    container_name,
    host_path,
    mount_of,
    port_inside,
    with_container,
)
from claracore.core.config.container_gpus import GpuKind, gpu_words
from claracore.core.config.container_images import suggested_images
from claracore.core.config.load import load
from claracore.core.config.model import ModelConfig
from claracore.core.ports.containers import container_of

CUDA = "ghcr.io/ggml-org/llama.cpp:server-cuda"


def model(**values: object) -> ModelConfig:
    container = ContainerConfig.model_validate({"image": CUDA, **values})
    return ModelConfig(id="qwen", container=container, env=("HF_TOKEN=secret", "PATH=/inside"))


def test_the_command_of_a_container() -> None:
    made = with_container(model(mounts=["/models"], args="-m /models/q.gguf -c 4096", options="--shm-size 1g"))
    assert "claracore-${INSTANCE}-qwen" in made.cmd
    made = with_container(made, ContainerRuntime(instance="0a1b", gpu="nvidia"))
    bound = bind(made, port=8101)
    assert " ".join(bound.argv) == (
        "docker run --rm --name claracore-0a1b-qwen --init --log-driver none"
        " --label claracore.instance=0a1b --label claracore.model=qwen --publish 127.0.0.1:8101:8080"
        " --mount type=bind,source=/models,target=/models,readonly --gpus all"
        " --env LLAMA_ARG_HOST=0.0.0.0 --env LLAMA_ARG_PORT=8080 --env HF_TOKEN --env PATH=/inside"
        f" --shm-size 1g {CUDA} -m /models/q.gguf -c 4096"
    )
    assert bound.stop_argv == ("docker", "stop", "-t", "9", "claracore-0a1b-qwen")
    assert uses_port(made)
    known = container_of(bound.argv)
    assert known is not None
    assert (known.published, known.name, known.host_network) == ((8101,), "claracore-0a1b-qwen", False)


def test_the_runtime_that_is_there_has_its_own_words() -> None:
    podman = ContainerRuntime("podman", "/usr/bin/podman", has_init=False, instance="i", home="/home/ann")
    made = with_container(model(mounts=["~/hub:/hub:rw", "cache:/c:rw"]), podman)
    argv = bind(made, port=1).argv
    assert argv[:2] == ("/usr/bin/podman", "run")
    assert "--init" not in argv
    assert "type=bind,source=/home/ann/hub,target=/hub" in argv
    assert "type=volume,source=cache,target=/c" in argv
    assert "nvidia.com/gpu=all" in argv
    # The client's own environment must not become another one by the model's.
    assert made.env == ("HF_TOKEN=secret",)


def test_a_model_without_a_container_stays_as_it_is() -> None:
    plain = ModelConfig(id="a", cmd="x --port ${PORT}")
    assert with_container(plain) is plain


def test_names_are_the_same_again_and_others_for_other_models() -> None:
    assert container_name("qwen3-8b", "i") == "claracore-i-qwen3-8b"
    names = {container_name(name, "i") for name in ("a/b", "a-b", "a b", "ä", "日本", "-", "x" * 80, "x" * 81)}
    assert len(names) == 8
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.ABCDEFGHIJKLMNOPQRSTUVWXYZ") for name in names)


@pytest.mark.parametrize(
    ("values", "port"),
    [
        ({}, "8080"),
        ({"port": 9000}, "9000"),
        ({"args": "--port 9001 -m x"}, "9001"),
        ({"args": ["--port=9002"]}, "9002"),
        ({"args": "--port ${PORT}"}, "${PORT}"),
        ({"image": "vllm/vllm-openai:v0.20"}, "8000"),
        ({"image": "ghcr.io/huggingface/text-generation-inference:3"}, "80"),
    ],
)
def test_on_which_port_the_program_listens(values: dict[str, object], port: str) -> None:
    container = model(**values).container
    assert container is not None
    assert port_inside(container) == port


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/models", ContainerMount("/models", "/models")),
        ("/a:/b", ContainerMount("/a", "/b")),
        ("/a:/b:rw", ContainerMount("/a", "/b", writable=True)),
        ("/a:rw", ContainerMount("/a", "/a", writable=True)),
        ("~/m:/m", ContainerMount("~/m", "/m")),
        ("cache:/c", ContainerMount("cache", "/c")),
    ],
)
def test_mounts(text: str, mount: ContainerMount) -> None:
    assert mount_of(text) == mount


@pytest.mark.parametrize("text", ["", ":", "./a", "a/b", "/a:b", "/a:/b:/c", "/a:/b:rx", "cache", "~ann/x"])
def test_wrong_mounts(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(it |its path |where |too)"):
        mount_of(text)


def test_a_mount_with_a_comma_stays_one() -> None:
    made = with_container(model(mounts=['/a,b"c']))
    assert 'type=bind,"source=/a,b""c","target=/a,b""c",readonly' in bind(made).argv


def test_where_a_path_inside_is_on_this_host() -> None:
    container = ContainerConfig(image="x", mounts=("/srv/models:/models", "/srv/other:/models/other", "v:/vol"))
    assert host_path(container, "/models/a/b.gguf") == "/srv/models/a/b.gguf"
    assert host_path(container, "/models/other/b.gguf") == "/srv/other/b.gguf"
    assert host_path(container, "/vol/x") is None
    assert host_path(container, "/etc/x") is None


NVIDIA = ["--gpus", "all"]
DRI = ["--device", "/dev/dri", "--group-add", "44"]
KFD = ["--device", "/dev/kfd", *DRI]
VULKAN = ["--env", "NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics"]


@pytest.mark.parametrize(
    ("image", "wanted", "here", "words"),
    [
        ("llama.cpp:server-cuda", ("auto",), "none", NVIDIA),
        ("llama.cpp:server-rocm", ("auto",), "none", KFD),
        ("llama.cpp:server-intel", ("auto",), "nvidia", DRI),
        ("llama.cpp:server-vulkan", ("auto",), "nvidia", [*NVIDIA, *VULKAN]),
        ("llama.cpp:server-vulkan", ("auto",), "amd", DRI),
        ("llama.cpp:server-vulkan", ("auto",), "none", []),
        ("llama.cpp:server", ("auto",), "nvidia", []),
        ("llama.cpp:server-b9999", ("auto",), "nvidia", []),
        ("llama.cpp:server", ("all",), "nvidia", NVIDIA),
        ("nvidia.example/x/vllm:latest", ("auto",), "amd", KFD),
        ("vllm:latest", ("auto",), "none", []),
        ("vllm:latest", ("none",), "nvidia", []),
        ("vllm:latest", (), "nvidia", []),
        ("vllm:latest", ("0", "2"), "nvidia", ["--gpus", '"device=0,2"']),
        ("vllm:latest", ("1",), "amd", [*KFD, "--env", "HIP_VISIBLE_DEVICES=1"]),
    ],
)
def test_graphics_devices(image: str, wanted: tuple[str, ...], here: GpuKind, words: list[str]) -> None:
    assert gpu_words(image, wanted, "docker", present=here, groups=(44,)) == words


def test_podman_names_nvidias_devices_one_by_one() -> None:
    words = gpu_words("vllm", ("0", "2"), "podman", present="nvidia", groups=())
    assert words == ["--device", "nvidia.com/gpu=0", "--device", "nvidia.com/gpu=2"]


def findings(container: str, beside: str = "") -> list[str]:
    loaded = load(f"models:\n  a:\n    container: {container}\n{beside}", file="c.yaml", env={}, strict=True)
    return [f"{each.path.removeprefix('models.a.')}: {each.message}" for each in loaded.findings]


@pytest.mark.parametrize(
    ("container", "beside", "found"),
    [
        ("{image: x}", "", []),
        ("{}", "", ["container.image: the container has no image"]),
        ("{image: 'a b'}", "", ["container.image: found 'a b'"]),
        ("{image: --privileged}", "", ["container.image: found '--privileged'"]),
        ("{image: x, runtime: rkt}", "", ["container.runtime: found 'rkt'"]),
        ("{image: x, port: 0}", "", ["container.port: found 0"]),
        ("{image: x, port: 81, args: --port 82}", "", ["container.port: port is 81, but the program is told to"]),
        ("{image: x, port: 82, args: --port 82}", "", []),
        ("{image: x, gpus: cuda}", "", ["container.gpus: found 'cuda'"]),
        ("{image: x, gpus: [0, all]}", "", ["container.gpus: found '0, all'"]),
        ("{image: x, gpus: 0}", "", []),
        ("{image: x, gpus: false}", "", []),
        ("{image: x, mounts: [./m]}", "", ["container.mounts[0]: found './m': its path is not a whole one"]),
        ('{image: x, args: "-m \'x"}', "", ["container.args: the quotation that begins at"]),
        ("{image: x, options: -d}", "", ["container.options: found -d: the container runs in the foreground"]),
        ("{image: x, options: --network host}", "", ["container.options: found --network=host"]),
        ("{image: x, options: [-p, '1:2']}", "", ["container.options: found -p"]),
        ("{image: x, options: ubuntu}", "", ["container.options: found 'ubuntu'"]),
        ("{image: x, args: -m /m/x.gguf}", "", ["container.mounts: /m/x.gguf is below none of the mounts"]),
        ("{image: x, args: -m /m/x.gguf, mounts: [/m]}", "", []),
        ("{image: x}", "    cmd: y\n", ["cmd: both cmd and container are written"]),
        ("{image: x}", "    cmdStop: y\n", ["cmdStop: both cmdStop and container are written"]),
        ("{image: x}", "    proxy: 'http://localhost:1'\n", ["proxy: both proxy and container are written"]),
        ("{image: x}", "    transport: unix\n", ["transport: a container is reached by its port"]),
        ("{image: x}", "    owner: any\n", ["owner: the owner of a container's port is known"]),
        ("x", "", ["container: found 'x'"]),
        ("[x]", "", ["container: found"]),
        ("", "", ["the model has neither"]),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(container: str, beside: str, found: list[str]) -> None:
    told_of = findings(container, beside)
    assert len(told_of) == len(found), told_of
    for line, beginning in zip(told_of, found, strict=True):
        assert beginning in line


@pytest.mark.parametrize(
    ("machine", "vendor", "driver", "first"),
    [
        ("x86_64", "nvidia", 550, "server-cuda"),
        ("x86_64", "nvidia", 595, "server-cuda13"),
        ("aarch64", "nvidia", None, "server-cuda"),
        ("x86_64", "amd", None, "server-rocm"),
        ("aarch64", "amd", None, "server-vulkan"),
        ("AMD64", "intel", None, "server-vulkan"),
        ("arm64", "", None, "server"),
        ("riscv64", "nvidia", 595, None),
    ],
)
def test_the_image_of_llama_cpp_for_a_machine(machine: str, vendor: str, driver: int | None, first: str | None) -> None:
    found = suggested_images(machine, vendor, driver=driver)  # type: ignore[arg-type]
    assert (found[0].image.rpartition(":")[2] if found else None) == first
    for each in found:
        text = f"models:\n  a:\n{each.as_yaml()}"
        assert load(text, file="c.yaml", env={}, strict=True).findings == ()
