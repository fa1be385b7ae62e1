"""What is this machine, and how busy is it?"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.core.fit.machine import Hardware
from claracore.host.hardware.probe import probe

router = APIRouter(tags=["hardware"])


class CpuView(BaseModel):
    """Processors that this process may use."""

    name: str
    logical: int
    physical_cores: int
    performance_cores: int
    threads: int
    quota: float | None


class MemoryView(BaseModel):
    """RAM that this process may use."""

    total_bytes: int
    available_bytes: int


class GpuView(BaseModel):
    """One graphics device."""

    index: int
    name: str
    vendor: str
    backend: str
    total_bytes: int | None
    free_bytes: int | None
    unified: bool


class HardwareView(BaseModel):
    """The machine as models can use it; `notes` say what could not be read."""

    cpu: CpuView
    memory: MemoryView
    gpus: list[GpuView]
    platform: str
    notes: list[str]


@router.get("/api/hardware")
async def hardware() -> HardwareView:
    """Show processors, memory and graphics devices as they are now."""
    return hardware_view(await asyncio.to_thread(probe))


def hardware_view(found: Hardware) -> HardwareView:
    """Return a machine as JSON shows it."""
    cpu = found.processor
    return HardwareView(
        cpu=CpuView(
            name=cpu.name,
            logical=cpu.logical,
            physical_cores=cpu.physical_cores,
            performance_cores=cpu.performance_cores,
            threads=cpu.threads,
            quota=cpu.quota,
        ),
        memory=MemoryView(total_bytes=found.memory.total_bytes, available_bytes=found.memory.available_bytes),
        gpus=[
            GpuView(
                index=index,
                name=gpu.name,
                vendor=gpu.vendor,
                backend=gpu.backend.value,
                total_bytes=gpu.total_bytes,
                free_bytes=gpu.free_bytes,
                unified=gpu.unified,
            )
            for index, gpu in enumerate(found.gpus)
        ],
        platform=found.platform,
        notes=list(found.notes),
    )
