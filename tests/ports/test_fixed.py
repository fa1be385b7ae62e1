from __future__ import annotations

import pytest

from claracore.core.config.command import split
from claracore.core.ports.containers import Container, client_of, container_of, is_runtime
from claracore.core.ports.fixed import claim_of
from claracore.core.ports.messages import container_left
from claracore.types import Endpoint
from ports.configs import model

OTHER = "http://192.168.7.7:1"


@pytest.mark.parametrize(
    ("cmd", "ports"),
    [
        ("srv --port 9000", (9000,)),
        ("srv --port=9000", (9000,)),
        ('srv --port "9000"', (9000,)),
        ("srv \\\n  --port \\\n  9000 --x", (9000,)),
        ("srv --port ${PORT}", ()),
        ("srv --port ${PORT} --metrics-port 9100", ()),
        ("# srv --port 9000\nsrv --port 9001", (9001,)),
        ("srv --port 70000", ()),
        ("srv -p 9000", ()),
        ("docker run -p 9000:8080 img --port 8080", (9000,)),
        ("docker run -p9000:8080/tcp img", (9000,)),
        ("docker run -p 127.0.0.1:9000:8080 -p 9001:81 img", (9000, 9001)),
        ("docker run --publish=[::1]:9000:8080 img", (9000,)),
        ("docker run --publish 9000-9002:8080-8082 img", (9000, 9001, 9002)),
        ("docker run -p 9000:53/udp img", ()),
        ("docker run -p 8080 img", ()),
        ("docker run -p ${PORT}:8080 img --port 8080", ()),
        ("docker run --network host img --port 9000", (9000,)),
        ("sudo -E podman run --net=host img --port=9000", (9000,)),
        ("env A=1 /usr/bin/podman run -p 9000:1 img", (9000,)),
        ("sh -c 'exec docker run -p 9000:1 img'", (9000,)),
        ("srv --model /models/docker/x --port 9000", (9000,)),
        ("srv 'unclosed --port 9000", ()),
    ],
)
def test_ports_named_in_cmd(cmd: str, ports: tuple[int, ...]) -> None:
    assert claim_of(model("m", cmd, proxy=OTHER)).ports == ports


@pytest.mark.parametrize(
    ("proxy", "ports"),
    [
        ("http://localhost:9000", (9000,)),
        ("http://127.0.0.1:9000/v1", (9000,)),
        ("http://127.1.2.3:9000", (9000,)),
        ("http://[::1]:9000", (9000,)),
        ("http://0.0.0.0:9000", (9000,)),
        ("http://localhost", (80,)),
        ("https://localhost", (443,)),
        ("http://LOCALHOST:9000", (9000,)),
        ("http://desk.lan:9000", (9000,)),
        ("http://192.168.1.9:9000", ()),
        ("http://elsewhere:9000", ()),
        ("http://localhost:${PORT}", ()),
        ("http://localhost:99999", ()),
    ],
)
def test_ports_of_proxies_on_this_host(proxy: str, ports: tuple[int, ...]) -> None:
    assert claim_of(model("m", "", proxy=proxy), own_hosts={"desk.lan"}).ports == ports


def test_the_port_that_requests_go_to_comes_first() -> None:
    assert claim_of(model("m", "srv --port 9001", proxy="http://localhost:9000")).ports == (9000, 9001)
    assert claim_of(model("m", "srv --port 9000", proxy="http://localhost:9000")).ports == (9000,)


@pytest.mark.parametrize(
    ("cmd", "proxy", "detached"),
    [
        ("sleep 1000", "http://localhost:6180", Endpoint("127.0.0.1", 6180)),
        ("sleep 1000", "http://[::1]:6180/v1", Endpoint("::1", 6180)),
        ("run.sh --port ${PORT}", "http://127.0.0.1:6180", Endpoint("127.0.0.1", 6180)),
        ("# at 6180\nrun.sh", "http://127.0.0.1:6180", Endpoint("127.0.0.1", 6180)),
        ("run.sh 16180", "http://127.0.0.1:6180", Endpoint("127.0.0.1", 6180)),
        ("srv --port 6180", "http://127.0.0.1:6180", None),
        ("ssh -N -L 6180:gpu:80 gpu", "http://127.0.0.1:6180", None),
        ("sh -c 'srv --listen=127.0.0.1:6180'", "http://127.0.0.1:6180", None),
        ("env SRV=6180 srv", "http://127.0.0.1:6180", None),
        ("/usr/bin/ollama serve", "http://127.0.0.1:11434", None),
        ("llama-server -m x.gguf", "http://127.0.0.1:8080", None),
        ("llama-server -m x.gguf", "http://127.0.0.1:6180", Endpoint("127.0.0.1", 6180)),
        ("docker start -a own", "http://127.0.0.1:6180", None),
        ("", "http://127.0.0.1:6180", None),
        ("sleep 1000", "http://192.168.7.7:6180", None),
        ("srv ${PORT}", "http://localhost:${PORT}", None),
    ],
)
def test_a_port_that_only_the_proxy_names(cmd: str, proxy: str, detached: Endpoint | None) -> None:
    assert claim_of(model("m", cmd, proxy=proxy)).detached == detached


def test_a_variable_of_the_environment_names_a_port() -> None:
    assert claim_of(model("m", "srv", proxy="http://localhost:6180", env=("AT=:6180",))).detached is None


def test_a_model_without_a_command_starts_nothing() -> None:
    assert not claim_of(model("m", " ", proxy="http://localhost:9000")).starts
    assert claim_of(model("m", "srv", proxy="http://localhost:9000")).starts


@pytest.mark.parametrize(
    ("cmd", "container"),
    [
        ("docker run -p 9000:1 x", Container("docker", (9000,))),
        ("/usr/bin/podman run --network=host x", Container("podman", (), host_network=True)),
        ("docker compose up", Container("docker")),
        ("docker run --name own x", Container("docker", name="own")),
        ("podman run --name=own-${PORT} -p 9000:1 x", Container("podman", (9000,), name="own-${PORT}")),
        ("docker.exe run x", Container("docker")),
        ("llama-server --alias docker", None),
        ("llama-server docker", None),
        ("sh -c 'llama-server --port 1'", None),
        ("sh -c 'broken \"'", None),
        ("", None),
    ],
)
def test_containers_are_recognised(cmd: str, container: Container | None) -> None:
    assert container_of(split(cmd)) == container


def test_runtimes_by_the_name_of_their_process() -> None:
    assert is_runtime("docker-proxy")
    assert is_runtime("containerd-shim-runc-v2")
    assert is_runtime("wslrelay.exe")
    assert not is_runtime("python3")


@pytest.mark.parametrize(
    ("name", "argv", "container"),
    [
        ("docker", "docker run --name own x", Container("docker", name="own")),
        ("docker", "/bin/sh /usr/bin/docker run --name own x", Container("docker", name="own")),
        ("podman", "podman start -a own", Container("podman")),
        ("exe", "podman run --name own x", Container("podman", name="own")),
        ("docker-compose", "docker-compose up", Container("docker")),
        ("python3", "python3 /usr/bin/podman-compose up", Container("podman")),
        ("distrobox-enter", "/bin/sh /usr/bin/distrobox-enter box -- srv", Container("podman")),
        ("sh", "sh /usr/bin/toolbox run srv", Container("podman")),
        ("docker.exe", "docker.exe run x", Container("docker")),
        ("docker-proxy", "docker-proxy -host-port 9000", None),
        ("sh", "sh -c docker", None),
        ("vi", "vi docker", None),
        ("kworker", "", None),
    ],
)
def test_clients_of_containers_by_their_process(name: str, argv: str, container: Container | None) -> None:
    assert client_of(name, split(argv)) == container


def test_what_ends_a_container() -> None:
    assert Container("podman", name="own").stop_command == "podman stop own"
    assert Container("docker").stop_command == "docker stop NAME"


def test_what_to_do_about_a_container_that_goes_on() -> None:
    own, unnamed = Container("podman", name="own"), Container("docker")
    assert container_left(9000, own, has_stop=False).endswith("write `cmdStop: podman stop own`")
    assert "`cmdStop: docker stop NAME`, with `--name NAME`" in container_left(9000, unnamed, has_stop=False)
    assert container_left(9000, own, has_stop=True).endswith("cmdStop did not end it")
