"""How much memory have the devices, and which model takes how much of it?"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.core.memory.footprint import DeviceMemory, Footprint, FootprintSource
from claracore.http.api.dependencies import RuntimeDep
from claracore.http.api.events.snapshot import SNAPSHOT

router = APIRouter(tags=["models"])


class ModelOnDevice(BaseModel):
    """What a model that has a server takes of one device, and how that is known."""

    model: str
    bytes: int
    source: FootprintSource


class DeviceView(BaseModel):
    """One device: `ram`, `gpu0`, ... or `unified`.

    `budget_bytes` is what models may use together, `reserved_bytes` what is kept free, `other_bytes` what programs use
    that are no models of ours; `free_bytes` is what is left of the rest beside the models that have a server.
    """

    id: str
    name: str
    total_bytes: int
    budget_bytes: int
    reserved_bytes: int
    other_bytes: int
    free_bytes: int
    models: list[ModelOnDevice]


class MemoryReport(BaseModel):
    """All devices with memory, as they are now; `decides` is whether memory says who runs beside whom."""

    decides: bool
    devices: list[DeviceView]


@router.get("/api/memory", dependencies=SNAPSHOT)
async def memory(runtime: RuntimeDep) -> MemoryReport:
    """Show the memory of each device, and what models take of it."""
    await runtime.memory.prepared()
    devices = await runtime.memory.sampled()
    loaded = runtime.memory.loaded()
    return MemoryReport(decides=runtime.supervisor.by_memory, devices=[_view(device, loaded) for device in devices])


def _view(device: DeviceMemory, loaded: Mapping[str, Footprint]) -> DeviceView:
    models = [
        ModelOnDevice(model=model, bytes=footprint.on(device.id), source=footprint.source)
        for model, footprint in sorted(loaded.items())
        if footprint.on(device.id) or footprint.source is FootprintSource.UNKNOWN
    ]
    return DeviceView(
        id=device.id,
        name=device.name,
        total_bytes=device.total,
        budget_bytes=device.budget,
        reserved_bytes=device.reserved,
        other_bytes=device.other,
        free_bytes=device.free_beside(loaded.values()),
        models=models,
    )
