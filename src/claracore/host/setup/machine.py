"""Which machine does a set-up plan for: as it is, as the engine can use it, or as a person describes it?"""

from __future__ import annotations

from dataclasses import replace

from claracore.core.fit.machine import Hardware, overridden, teamed
from claracore.errors import BadRequest
from claracore.host.engines.find import Engine
from claracore.host.hardware.engine import FLAG, as_the_engine_sees, list_devices, parse_devices
from claracore.host.hardware.probe import probe
from claracore.host.setup.request import SetupOptions


def machine_for(engine: Engine | None, options: SetupOptions) -> Hardware:
    """Return the machine as this engine can use it (as it is, without one) and as the person describes it.

    Raises BadRequest for an unknown backend.
    """
    hardware = probe()
    is_named = options.backend not in (None, "auto", "") or options.vram_gb is not None
    if engine is not None and not is_named:
        hardware = _with_engine(hardware, engine)
    return as_described(hardware, options)


def as_described(hardware: Hardware, options: SetupOptions) -> Hardware:
    """Return a machine as the person describes it. Raises BadRequest for an unknown backend."""
    try:
        hardware = teamed(hardware, options.backend)
        return overridden(hardware, backend=options.backend, vram_gb=options.vram_gb, ram_gb=options.ram_gb)
    except ValueError as error:
        raise BadRequest(str(error), param="backend") from error


def machine_of_models(engine: Engine | None) -> Hardware:
    """Return the machine with all devices on which models may lie: in the engine's order, if it has any.

    Where our own engine computes on the processor, models of other programs may use the cards.
    """
    hardware = probe()
    seen = _with_engine(hardware, engine) if engine is not None and not engine.embedded else hardware
    return teamed(seen if seen.gpus else hardware)


def _with_engine(hardware: Hardware, engine: Engine) -> Hardware:
    """Return the machine with the devices that the engine can use."""
    if engine.embedded:
        note = "the embedded engine computes on the processor: install a llama-server to use the graphics devices"
        return replace(hardware, gpus=(), notes=(*hardware.notes, note)) if hardware.gpus else hardware
    listed = list_devices(engine.argv) if FLAG in engine.abilities.flags else None
    devices = parse_devices(listed) if listed is not None else None
    return hardware if devices is None else as_the_engine_sees(hardware, devices)
