"""The line, the versions, the addresses; who has joined and who may."""

from __future__ import annotations

import pytest

from claracore.core.cluster.invitation import (
    JoinLine,
    Versions,
    differences,
    is_node_name,
    network_of,
    node_name,
    read_line,
    why_not_there,
)
from claracore.core.cluster.joined import (
    JoinedNode,
    NameTaken,
    NotInvited,
    Remembered,
    with_joined,
)
from claracore.core.config.model import Config
from claracore.core.config.routing import PeerConfig

SECRET, PRINT = "s" * 32, "ab" * 32
NODE = JoinedNode("desk", "http://10.0.0.2:5800", "cc-key")


@pytest.mark.parametrize(
    "line",
    [
        JoinLine("https://head.lan:5800", SECRET, PRINT),
        JoinLine("http://10.0.0.1:5800", SECRET),
        JoinLine("http://[fd00::1]:5800", SECRET),
    ],
)
def test_a_line_is_read_as_it_was_written(line: JoinLine) -> None:
    assert read_line(f" {line}\n") == line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no token"),
        ("https://head:5800", "no token"),
        (f"https://head:5800#{SECRET[:-1]}", "only a part"),
        (f"https://head:5800#{SECRET}", "the head's certificate"),
        (f"https://head:5800#{SECRET}.{PRINT[:-2]}", "only a part"),
        (f"https://head#{SECRET}.{PRINT}", "no address with a port"),
        (f"https://head:x#{SECRET}.{PRINT}", "no address"),
        (f"ftp://head:5800#{SECRET}", "no address with a port"),
        (f"http://me:you@head:5800#{SECRET}", "no address with a port"),
        (f"head:5800#{SECRET}", "no address"),
    ],
)
def test_what_is_wrong_with_a_line(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_line(text)


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("127.0.0.2", 1),
        ("10.1.2.3", 1),
        ("192.168.0.4", 1),
        ("100.100.1.1", 1),
        ("fd7a::1", 1),
        ("fe80::1%eth0", 1),
        ("8.8.8.8", 0),
        ("2a00:1450::1", 0),
    ],
)
def test_public_addresses_are_refused(address: str, may: int) -> None:
    why = why_not_there(address)
    assert (why is None) == bool(may)
    assert why is None or "WireGuard" in why


HEAD = Versions("0.4.1", "3.11.7", "2.60.0")


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (HEAD, []),
        (Versions("0.4.9", "3.11.2", "2.60.0"), []),
        (Versions("0.5.0", "3.11.7", "2.60.0"), ["claracore==0.4.*"]),
        (Versions("0.4.1", "3.11.7", "2.59.0"), ["ray==2.60.0"]),
        (Versions("0.4.1", "3.11.7"), ["claracore[ray]"]),
        (Versions("0.4.1", "3.12.1", "2.60.0"), ["--python 3.11"]),
        (Versions("1.0", "3.12.1", "1.0"), ["claracore==0.4.*", "ray==2.60.0", "--python 3.11"]),
    ],
)
def test_which_versions_differ_and_what_to_type(node: Versions, says: list[str]) -> None:
    found = differences(HEAD, node)
    assert len(found) == len(says)
    assert all(part in sentence for part, sentence in zip(says, found, strict=True))


def test_without_ray_on_the_head_neither_ray_nor_python_matters() -> None:
    assert differences(Versions("0.4.1", "3.11.7"), Versions("0.4.0", "3.13.0", "2.1.0")) == ()


@pytest.mark.parametrize(
    ("host", "name"),
    [("desk", "desk"), ("desk.lan", "desk"), ("Jo's box!", "Jo-s-box"), ("", "node"), ("local", "node")],
)
def test_a_machine_is_called_as_it_calls_itself(host: str, name: str) -> None:
    assert node_name(host) == name
    assert is_node_name(name)


@pytest.mark.parametrize("name", ["a/b", "local", "", "-x", "x" * 64])
def test_names_that_no_machine_may_have(name: str) -> None:
    assert not is_node_name(name)


@pytest.mark.parametrize(
    ("address", "network"),
    [("10.1.2.3", "10.1.2.0/24"), ("100.101.1.1", "100.64.0.0/10"), ("fd00::5", "fd00::/64")],
)
def test_the_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_an_invitation_is_good_once_and_not_for_ever() -> None:
    known = Remembered().invited("a", until=100, now=0).invited("b", until=200, now=0)
    assert known.expects(now=150)
    with pytest.raises(NotInvited):
        known.joined("a", NODE, now=150)
    with pytest.raises(NotInvited):
        known.joined("c", NODE, now=50)
    known = known.joined("a", NODE, now=50)
    with pytest.raises(NotInvited):
        known.joined("a", NODE, now=50)
    assert known.is_invited("b", now=50)


def test_a_machine_joins_again_under_whichever_name() -> None:
    known = Remembered().invited("a", 9, 0).invited("b", 9, 0).joined("a", NODE, 1).drain("desk", drained=True)
    other_key = JoinedNode("tower", NODE.url, "another")
    assert known.joined("b", other_key, 2).nodes == (other_key,)


@pytest.mark.parametrize("taken", [("desk",), ()])
def test_a_name_is_of_one_machine(taken: tuple[str, ...]) -> None:
    known = Remembered((JoinedNode("desk", "http://10.0.0.9:5800", "k"),) if not taken else ()).invited("a", 9, 0)
    with pytest.raises(NameTaken, match="--name"):
        known.joined("a", NODE, 1, taken)
    assert known.is_invited("a", 1)


def test_forgotten_and_drained() -> None:
    known = Remembered((NODE,)).drain("desk", drained=True)
    assert known.drained == {"desk"}
    assert known.drain("desk", drained=False).drained == frozenset()
    assert known.forgot("desk") == Remembered()


def test_what_has_joined_is_a_peer_that_is_followed_and_the_file_goes_first() -> None:
    own = Config(peers={"lap": PeerConfig(proxy="http://x", models="auto")})
    found = with_joined(own, [NODE, JoinedNode("lap", "http://10.0.0.3:5800", "k")])
    assert found.peers["desk"] == PeerConfig(proxy=NODE.url, models="auto", api_key="cc-key", joined=True)
    assert found.peers["lap"].proxy == "http://x"
    assert with_joined(own, []) is own
