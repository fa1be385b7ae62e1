"""What machines announce is read with distrust, and becomes lines that a configuration takes."""

from __future__ import annotations

import asyncio

import pytest

from claracore.core.cluster.announced import Announced, announced, properties, proposal
from claracore.core.config.load import load
from claracore.core.ports.listen import parse_listen
from claracore.host.cluster.announce import announce, discovered, reachable_addresses
from claracore.host.cluster.identity import IDENTITY


def said_by(**values: str) -> dict[bytes, bytes | None]:
    return {name.encode(): value.encode() for name, value in values.items()}


def test_what_is_announced_is_found_again() -> None:
    told = properties("1.2", "abc", tls=True, base_path="/llm")
    found = announced("desk._claracore._tcp.local.", ["192.168.1.7"], 5800, said_by(**told))
    assert found == Announced("desk", "192.168.1.7", 5800, True, "/llm", "1.2", "abc")
    assert found.url == "https://192.168.1.7:5800/llm"


@pytest.mark.parametrize(
    ("addresses", "port", "host"),
    [
        (["fd00::1", "192.168.1.7"], 5800, "192.168.1.7"),
        (["127.0.0.1", "10.0.0.1"], 5800, "10.0.0.1"),
        (["fd00::1"], 5800, "fd00::1"),
        (["127.0.0.1"], 5800, "127.0.0.1"),
        (["fe80::1", "0.0.0.0", "224.0.0.1", "no address"], 5800, None),
        ([], 5800, None),
        (["10.0.0.1"], 0, None),
        (["10.0.0.1"], 70000, None),
    ],
)
def test_the_address_that_works_for_most_is_taken(addresses: list[str], port: int, host: str | None) -> None:
    found = announced("desk", addresses, port, {})
    assert (found.host if found is not None else None) == host


def test_hostile_properties_are_shortened_and_hold_nothing_that_a_terminal_obeys() -> None:
    found = announced("a\x1b[2Jb" * 50, ["10.0.0.1"], 1, {b"version": b"\xff\x1b]0;x\x07" * 99, b"tls": None})
    assert found is not None
    assert (found.name + found.version).isprintable()
    assert max(len(found.name), len(found.version)) <= 60
    assert announced("desk", ["10.0.0.1"], 1, {b"path": b"/a b\n"}) is None


NAMES = ("Desk", "desk", "no", "1e3", "---", 'a: {b: "c', "büro ü", "x" * 60, "desk-2", "lap.lan")


def test_what_is_proposed_is_a_configuration_with_a_peer_for_each_machine() -> None:
    found = [Announced(name, "10.0.0.1", 5800 + at, tls=bool(at % 2)) for at, name in enumerate(NAMES)]
    text = proposal(found, {"desk"})
    config = load(text, env={}).config
    assert config is not None
    peers = config.peers
    assert [peer.proxy for peer in peers.values()] == [each.url for each in found]
    assert "desk" not in peers
    assert all(peer.follows for peer in peers.values())


def test_a_machine_that_is_announced_is_heard() -> None:
    async def heard() -> list[Announced]:
        listen = parse_listen("127.0.0.1:5801")
        announcing = asyncio.create_task(announce(listen, "1.2", tls=False, base_path=""))
        try:
            while True:
                found = [each for each in await discovered(0.5) if each.identity == IDENTITY]
                if found:
                    return found
        finally:
            announcing.cancel()
            await asyncio.gather(announcing, return_exceptions=True)

    (found,) = asyncio.run(asyncio.wait_for(heard(), 60))
    assert (found.url, found.version) == ("http://127.0.0.1:5801", "1.2")


def test_addresses_that_others_reach() -> None:
    assert reachable_addresses(parse_listen("192.168.1.7:5800")) == ["192.168.1.7"]
    assert "127.0.0.1" not in reachable_addresses(parse_listen(":5800"))
    assert reachable_addresses(parse_listen("[::1]:5800")) == []
