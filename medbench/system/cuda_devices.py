"""Which GPUs CUDA gives a process, in CUDA's own order. Run as a script, in a child; the standard library alone.

The first question to CUDA fixes the devices that a process sees, and a lease is chosen before that: so a child asks.
It asks the driver, the one authority on CUDA_VISIBLE_DEVICES (indices, UUIDs, MIG, what an invalid entry cuts off),
on CUDA_DEVICE_ORDER, and on what a container or a scheduler hides. nvidia-smi numbers by bus where CUDA numbers by
speed, and knows none of these variables; torch takes seconds to import.
"""

import ctypes
import sys
from typing import Any


def devices_of(library: Any) -> list[str]:
    """An id for each GPU, or MIG instance, that CUDA shows, in the order of its indices; empty: none.

    The id names the physical device: its UUID as 32 hexadecimal digits, or its place on the PCI bus where the driver
    knows no UUID. No context is created on any device.

    Raises:
        RuntimeError: the driver counts a device that it cannot name.
    """
    count = ctypes.c_int()
    if library.cuInit(0) != 0 or library.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    return [_id(library, index) for index in range(count.value)]


def _id(library: Any, index: int) -> str:
    device, uuid, place = ctypes.c_int(), (ctypes.c_ubyte * 16)(), ctypes.create_string_buffer(32)
    if library.cuDeviceGet(ctypes.byref(device), index) == 0:
        # The function's first version gives all MIG instances of a GPU the same UUID; drivers before 470 know no other.
        if hasattr(library, "cuDeviceGetUuid_v2") and library.cuDeviceGetUuid_v2(ctypes.byref(uuid), device) == 0:
            return bytes(uuid).hex()
        if library.cuDeviceGetPCIBusId(place, len(place), device) == 0:
            return place.value.decode()
    raise RuntimeError(f"CUDA device {index} has no name")


if __name__ == "__main__":
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        sys.exit()  # no driver, no GPU
    print(*devices_of(driver), sep="\n")
