"""Which build of a release is the right one for this machine, and why not each of the others?

Each file of a release is a candidate or no build of this engine. A candidate has at most one objection: a hard one (it
cannot start here: system, processor, C library, a driver that is too old) or a soft one (there is nothing here that it
would be good for), which a person who names the backend may pass over. Of those without objection the best backend
for the first graphics device counts, then the newest CUDA or ROCm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from claracore.core.engines.machine import EngineMachine
from claracore.core.engines.objections import BuildCandidate, Objection, dotted, objection, version
from claracore.core.engines.release import Release, ReleaseAsset
from claracore.core.engines.sources import EngineSource, processor_of
from claracore.core.fit.machine import Backend
from claracore.errors import BadRequest, NotFound

AUTO: Final = "auto"
ORDERS: Final[dict[str, tuple[Backend, ...]]] = {
    "nvidia": (Backend.CUDA, Backend.VULKAN, Backend.CPU),
    "amd": (Backend.ROCM, Backend.VULKAN, Backend.CPU),
    "intel": (Backend.SYCL, Backend.VULKAN, Backend.CPU),
    "apple": (Backend.METAL, Backend.CPU),
    "": (Backend.CPU,),
}
"""By the vendor of the device that counts: which backend is tried before which."""


class NoBuild(NotFound):
    """There is no build for this machine; 404 with the reason for each."""

    code = "no_build"
    cause = "There is no build of the engine for this machine."
    way_out = "The message says why each was not taken; choose another `--backend` or `--version`, or build it here."


@dataclass(frozen=True, slots=True)
class Rejected:
    """A build that was not taken, and why."""

    name: str
    backend: Backend
    reason: str
    hard: bool
    elsewhere: bool
    """Whether it is for another system or processor."""


@dataclass(frozen=True, slots=True)
class BuildChoice:
    """The build that was taken: one file, what belongs beside it, and why."""

    release: Release
    backend: Backend
    assets: tuple[ReleaseAsset, ...]
    """The build first."""
    reason: str
    rejected: tuple[Rejected, ...]
    fallback: str = ""
    """Why it is not the backend that would be best for the graphics device here; empty where it is."""

    @property
    def total_bytes(self) -> int:
        """How much is to be fetched."""
        return sum(asset.size for asset in self.assets)


def wanted_backend(text: str) -> Backend | None:
    """Return the backend that a person names, None for `auto`. Raises BadRequest."""
    if text == AUTO:
        return None
    try:
        return Backend(text)
    except ValueError:
        known = ", ".join((AUTO, *Backend))
        raise BadRequest(f"no backend is called {text!r}: it is one of {known}", param="backend") from None


def choose(release: Release, source: EngineSource, machine: EngineMachine, backend: str = AUTO) -> BuildChoice:
    """Return the build for this machine. Raises NoBuild, BadRequest."""
    wanted = wanted_backend(backend)
    candidates = _candidates(release, source)
    judged = [(one, objection(one, machine) or _lacks_companion(one, release)) for one in candidates]
    rejected = tuple(
        Rejected(one.asset.name, one.build.backend, found.reason, found.hard, found.elsewhere)
        for one, found in judged
        if found is not None
    )
    order = (wanted,) if wanted is not None else order_for(machine)
    free = [one for one, found in judged if found is None or (wanted is not None and not found.hard)]
    for place in order:
        fitting = [one for one in free if one.build.backend is place]
        if fitting:
            best = max(fitting, key=lambda one: one.runtime)
            assets = (best.asset, *_companions(best, release))
            fallback = "" if place is order[0] else _fallback(order[: order.index(place)], rejected)
            return BuildChoice(release, place, assets, _reason(best, machine, wanted), rejected, fallback)
    raise NoBuild(_no_build(release, source, machine, wanted, rejected))


def newest(
    releases: Iterable[Release], source: EngineSource, machine: EngineMachine, backend: str = AUTO
) -> BuildChoice:
    """Return the newest build among releases (the newest first). Raises NoBuild.

    A release that is only just being made has not all of its files yet: the best backend of any counts more than the
    newest tag.
    """
    order, found = order_for(machine), list[BuildChoice]()
    last: NoBuild | None = None
    for release in releases:
        if source.tag.fullmatch(release.tag) is None:
            continue
        try:
            found.append(choose(release, source, machine, backend))
        except NoBuild as error:
            last = last or error
    if not found:
        raise last or NoBuild(f"{source.name} has no releases with builds")
    return min(found, key=lambda choice: order.index(choice.backend) if choice.backend in order else 0)


def order_for(machine: EngineMachine) -> tuple[Backend, ...]:
    """Return which backend is tried before which: a card of its own memory counts more than integrated graphics."""
    devices = sorted(machine.gpus, key=lambda gpu: gpu.unified and gpu.vendor != "apple")
    vendor = next((gpu.vendor for gpu in devices if gpu.vendor in ORDERS), "")
    if vendor == "" and devices:
        return (Backend.VULKAN, Backend.CPU)
    return ORDERS[vendor]


def _candidates(release: Release, source: EngineSource) -> list[BuildCandidate]:
    found = []
    for asset in release.assets:
        for build in source.builds:
            if (match := build.pattern.fullmatch(asset.name)) is not None:
                groups = match.groupdict()
                found.append(BuildCandidate(asset, build, processor_of(groups), version(groups.get("runtime") or "")))
                break
    return found


def _lacks_companion(one: BuildCandidate, release: Release) -> Objection | None:
    if one.build.companion and not _companions(one, release):
        return Objection(f"the libraries that belong to it ({_companion_name(one, release)}) are not in the release")
    return None


def _companion_name(one: BuildCandidate, release: Release) -> str:
    return one.build.companion.format(tag=release.tag, runtime=dotted(one.runtime), processor=one.processor)


def _companions(one: BuildCandidate, release: Release) -> tuple[ReleaseAsset, ...]:
    found = release.asset(_companion_name(one, release)) if one.build.companion else None
    return (found,) if found is not None else ()


def _reason(one: BuildCandidate, machine: EngineMachine, wanted: Backend | None) -> str:
    if wanted is not None:
        return f"{wanted} was asked for"
    backend = one.build.backend
    if backend is Backend.CPU:
        return "no graphics device was found" if not machine.gpus else "no build for the graphics device here runs here"
    devices = sorted(machine.gpus, key=lambda gpu: gpu.unified and gpu.vendor != "apple")
    return f"{devices[0].name} is here" + (
        f", with CUDA {dotted(machine.cuda)}" if backend is Backend.CUDA and machine.cuda else ""
    )


def _fallback(passed: Sequence[Backend], rejected: Sequence[Rejected]) -> str:
    """Say why what would be better was passed over: the nearest miss of each backend on this system."""
    words = []
    for backend in passed:
        own = [one for one in rejected if one.backend is backend and not one.elsewhere]
        words.append(f"{backend}: {own[-1].reason}" if own else f"{backend}: there is no build for this system")
    return "; ".join(words)


def _no_build(
    release: Release, source: EngineSource, machine: EngineMachine, wanted: Backend | None, rejected: Sequence[Rejected]
) -> str:
    what = f"{wanted} build" if wanted is not None else "build"
    head = f"{source.name} {release.tag} has no {what} for this machine ({machine.system}, {machine.processor})"
    own = [one for one in rejected if wanted in {None, one.backend}]
    near = [one for one in own if not one.elsewhere] or own
    return head + "".join(f"\n  {one.name}: {one.reason}" for one in near[:12])
