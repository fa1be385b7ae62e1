"""Which files are here, which are fetched, and which not, and why: tables."""

from __future__ import annotations

import pytest

from claracore.core.cluster.model import Fit, NodeFile
from claracore.core.cluster.part import Fetch, SharedFile, SharedModel
from claracore.core.cluster.place import LOCAL, Offer, PlacementWish, places
from claracore.core.cluster.wanted import (
    HeldFile,
    fetching_words,
    outlook,
    path_on_hub,
    repository_of,
    shipments,
    wanted,
)
from claracore.types import ModelState

ONE = SharedFile("org/one.gguf", 100, "h1", source="org/one@abc/folder/one.gguf")
TWO = SharedFile("org/two.gguf", 200, "h2")


def model(name: str, *files: SharedFile, fetch: Fetch = Fetch.HEAD) -> SharedModel:
    return SharedModel(name, {}, files, fetch)


def test_a_file_is_known_by_size_and_header_wherever_it_lies() -> None:
    held = [HeldFile("/nas/other-name.gguf", 100, "h1"), HeldFile("/b/one.gguf", 100, "h1")]
    [found] = wanted([model("m", ONE, fetch=Fetch.NO)], held, "/m")
    assert (found.is_ready, found.why, found.paths) == (True, "", {"org/one.gguf": "/nas/other-name.gguf"})
    for almost in (HeldFile("/a", 101, "h1"), HeldFile("/a", 100, "h2")):
        [found] = wanted([model("m", ONE, fetch=Fetch.NO)], [almost], "/m")
        assert not found.is_ready


@pytest.mark.parametrize(
    ("file", "fetch", "source", "why"),
    [
        (ONE, Fetch.HEAD, Fetch.HEAD, ""),
        (ONE, Fetch.HUB, Fetch.HUB, ""),
        (ONE, Fetch.NO, Fetch.NO, "org/one.gguf is not here, and is not fetched (fetch: no)"),
        (TWO, Fetch.HUB, Fetch.NO, "org/two.gguf is not here, and from where on the hub it came is not known"),
        (SharedFile("../x.gguf", 1, "h"), Fetch.HEAD, Fetch.NO, "'../x.gguf' cannot be the name of a file here"),
        (SharedFile("/etc/x", 1, "h"), Fetch.HEAD, Fetch.NO, "'/etc/x' cannot be the name of a file here"),
        (SharedFile("a/.ssh/x", 1, "h"), Fetch.HEAD, Fetch.NO, "'a/.ssh/x' cannot be the name of a file here"),
    ],
)
def test_what_is_missing_is_fetched_or_said(file: SharedFile, fetch: Fetch, source: Fetch, why: str) -> None:
    [found] = wanted([model("m", file, fetch=fetch)], [], "/m")
    [each] = found.files
    assert (found.is_ready, each.source, each.why, found.why) == (False, source, why, why)


def test_each_file_is_fetched_once_and_nothing_for_a_model_that_could_not_run() -> None:
    three = SharedFile("ORG/One.gguf", 999, "h3")
    found = wanted(
        [model("a", ONE), model("b", ONE, TWO), model("c", three), model("d", TWO, fetch=Fetch.NO)], [], "/m"
    )
    assert "another file that is called" in found[2].why
    assert [(each.model, each.files) for each in shipments(found)] == [("a", (ONE,)), ("b", (TWO,))]
    # A model that may not fetch what another one does has it as soon as it is here.
    assert "fetch: no" in found[3].why


def test_shards_lie_together_under_their_names() -> None:
    shards = [SharedFile(f"q/m-0000{n}-of-00003.gguf", n, f"h{n}") for n in (1, 2, 3)]

    def paths(*held: str) -> dict[str, str]:
        files = [HeldFile(path, int(path[-15]), f"h{path[-15]}") for path in held]
        [found] = wanted([model("m", *shards)], files, "/m")
        assert found.is_ready == (len(found.paths) == 3)
        return {name.removeprefix("q/"): path for name, path in found.paths.items()}

    nas = [f"/nas/m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    place = [f"/m/q/m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert list(paths(*nas).values()) == nas
    assert list(paths(place[0], *nas).values()) == nas
    assert paths(place[1], *nas[:2]) == {"m-00002-of-00003.gguf": place[1]}
    assert paths(nas[0], "/nas/x-00002-of-00003.gguf", nas[2]) == {}
    assert list(paths(*place).values()) == place


def test_files_of_one_repository_come_together() -> None:
    shards = [SharedFile(f"m-0000{n}-of-00002.gguf", n, f"h{n}", source=f"org/m/m-{n}.gguf") for n in (1, 2)]
    [one, other] = shipments(wanted([model("m", *shards, ONE, fetch=Fetch.HUB)], [], "/m"))
    assert (one.repository, one.files) == ("org/m", tuple(shards))
    assert (other.repository, path_on_hub(other.files[0])) == ("org/one@abc", "folder/one.gguf")
    assert repository_of(TWO) == repository_of(SharedFile("x", 1, "h", source="nonsense")) == ""


def test_how_far_it_is_in_words() -> None:
    assert fetching_words("qwen.gguf", 41, 100, 170) == "fetching qwen.gguf 41 %, 3 min left"
    assert fetching_words("qwen.gguf", 100, 100, 0) == "checking qwen.gguf"
    assert fetching_words("qwen.gguf", 0, 0, None) == "fetching qwen.gguf 0 B"
    [two] = wanted([model("m", ONE, TWO)], [], "/m")
    coming = {file.name: NodeFile(file.name, file.size, 50, fetching=True, left_seconds=9) for file in (ONE, TWO)}
    found = outlook(two, coming)
    assert (found.fit, found.left_seconds) == (Fit.FETCH, 18)
    assert found.why == "fetching org/one.gguf 50 %, 9 s left; fetching org/two.gguf 25 %, 9 s left"
    stuck = outlook(two, {**coming, TWO.name: NodeFile(TWO.name, 200, 50, why="no space is left")})
    assert (stuck.fit, stuck.left_seconds) == (Fit.NEVER, None)
    assert stuck.why.endswith("org/two.gguf: no space is left")


def test_where_the_file_has_to_be_fetched_first_is_the_last_place_but_one() -> None:
    def offer(node: str, fit: Fit, why: str = "", **more: object) -> Offer:
        return Offer(f"{node}/m", node, ModelState.STOPPED, fit=fit, why=why, **more)  # type: ignore[arg-type]

    found = places(
        [
            offer("d", Fit.NEVER, "m.gguf is not here, and is not fetched (fetch: no)"),
            offer("c", Fit.FETCH, "fetching m.gguf 41 %", requests=1),
            offer(LOCAL, Fit.AFTER),
        ],
        PlacementWish(prefer=("d", "c")),
    )
    assert [place.reason for place in found] == [
        "local: it fits there when idle models go",
        "c: the file has to be fetched first (fetching m.gguf 41 %)",
        "d: the machine would refuse to load it now (m.gguf is not here, and is not fetched (fetch: no))",
    ]
