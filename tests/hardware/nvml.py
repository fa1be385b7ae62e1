"""A stand-in for libnvidia-ml: NVML's functions with numbers that a test writes into a file, compiled for the test.

`Script.write` says what the devices show from then on; the library reads it at each call, so that memory comes back,
other programs come and processes end while a test runs.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from claracore.host.hardware.c_library import CLibrary

MIB = 1024**2
SOURCE = r"""
#include <stdio.h>
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu, compute; } process_t;
static int devices[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
typedef struct { unsigned gpu, memory; } use_t;
/* Lines: "init STATUS", "device TOTAL USED", "process DEVICE PID USED", "silent DEVICE", "gauge DEVICE PERCENT C W". */
static FILE *script(void) { return fopen(SCRIPT, "r"); }
int nvmlShutdown(void) { return 0; }
int nvmlInit_v2(void) {
    int status = 0; char line[256]; FILE *file = script();
    while (file && fgets(line, sizeof line, file)) sscanf(line, "init %d", &status);
    if (file) fclose(file);
    return file ? status : 9;
}
int nvmlDeviceGetCount_v2(unsigned *count) {
    char line[256]; FILE *file = script(); *count = 0;
    while (file && fgets(line, sizeof line, file)) *count += !strncmp(line, "device", 6);
    if (file) fclose(file);
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = &devices[index]; return 0; }
int nvmlDeviceGetName(void *handle, char *name, unsigned size) {
    snprintf(name, size, "NVIDIA card %d", *(int *)handle); return 0;
}
int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned size) {
    snprintf(uuid, size, "GPU-%d000-aaaa", *(int *)handle); return 0;
}
int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory) {
    int index = 0, found = 999; char line[256]; FILE *file = script();
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "device", 6) && index++ == *(int *)handle)
            found = sscanf(line, "device %llu %llu", &memory->total, &memory->used) == 2 ? 0 : 3;
    if (file) fclose(file);
    memory->free = memory->total - memory->used;
    return found;
}
static int gauge(void *handle, unsigned *busy, unsigned *degrees, unsigned *watts) {
    unsigned device, found = 3, a, b, c; char line[256]; FILE *file = script();
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "gauge %u %u %u %u", &device, &a, &b, &c) == 4 && device == *(unsigned *)handle) {
            *busy = a; *degrees = b; *watts = c; found = 0;
        }
    if (file) fclose(file);
    return found;
}
int nvmlDeviceGetUtilizationRates(void *handle, use_t *use) {
    unsigned other, another; return gauge(handle, &use->gpu, &other, &another);
}
int nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *degrees) {
    unsigned other, another; return sensor ? 2 : gauge(handle, &other, degrees, &another);
}
int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
    unsigned other, another, watts = 0; int status = gauge(handle, &other, &another, &watts);
    *milliwatts = watts * 1000; return status;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, process_t *rows) {
    unsigned room = *count, device, pid, status = 0; unsigned long long used; char line[256]; FILE *file = script();
    *count = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "silent %u", &device) == 1 && device == *(unsigned *)handle) status = 3;
        if (sscanf(line, "process %u %u %llu", &device, &pid, &used) == 3 && device == *(unsigned *)handle) {
            if (*count < room) { rows[*count].pid = pid; rows[*count].used = used; }
            ++*count;
        }
    }
    if (file) fclose(file);
    return status ? status : *count > room ? 7 : 0;
}
"""


@dataclass(frozen=True)
class Script:
    """What the devices show."""

    file: Path
    library: Path

    def write(
        self,
        *devices: tuple[int, int],
        processes: Mapping[tuple[int, int], int] | None = None,
        silent: tuple[int, ...] = (),
        init: int = 0,
        gauges: Mapping[int, tuple[int, int, int]] | None = None,
    ) -> None:
        """Say total and used MiB of devices, the MiB of each (device, pid); percent, degrees and watts of devices."""
        lines = [f"init {init}", *(f"device {total * MIB} {used * MIB}" for total, used in devices)]
        lines += [f"process {device} {pid} {size * MIB}" for (device, pid), size in (processes or {}).items()]
        lines += [f"silent {device}" for device in silent]
        lines += [f"gauge {device} {' '.join(map(str, told))}" for device, told in (gauges or {}).items()]
        temporary = self.file.with_suffix(".new")
        temporary.write_text("\n".join(lines) + "\n")
        temporary.replace(self.file)

    def load(self) -> CLibrary:
        """Load the library as the product does."""
        library: CLibrary = ctypes.CDLL(str(self.library))
        return library


def build(folder: Path) -> Script:
    """Compile the library; it is called as the driver's is, so that a process finds it by LD_LIBRARY_PATH."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, script, target = folder / "nvml.c", folder / "nvml.txt", folder / "libnvidia-ml.so.1"
    source.write_text(SOURCE)
    words = [compiler, "-shared", "-fPIC", f'-DSCRIPT="{script}"', "-o", str(target), str(source)]
    subprocess.run(words, check=True)
    return Script(script, target)
