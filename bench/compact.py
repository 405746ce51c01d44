"""Measure the compact stream: bytes per update beside JSON, for devices that report as agents do."""

from __future__ import annotations

import random

import msgspec

from gateway.compact import WHOLE, Compact
from gateway.frames import binary_frame, text_frame
from rpn.codec import encode
from rpn.messages import ResourceChanged
from rpn.model import Resources

DEVICES, ROUNDS = 50, 200
TICK_UPDATES = 25
"""updates that one tick carries"""


def main() -> None:
    rng = random.Random(4)
    devices = {f"3f2a9c4e-7b1d-4c58-9e60-{number:012d}": _first(rng) for number in range(DEVICES)}
    whole, changed = Compact(), Compact()
    plain_bytes = map_bytes = whole_bytes = changed_bytes = updates = 0
    told: list[tuple[list[object], list[object]]] = []
    for _ in range(ROUNDS):
        for device_id, before in devices.items():
            devices[device_id] = now = _next(rng, before)
            frame = encode(ResourceChanged(device_id=device_id, resources=now))
            delta = changed.updated(device_id, frame)
            number, *_ = whole.updated(device_id, frame)
            told.append(([number, WHOLE, *msgspec.structs.astuple(now)], delta))
            plain_bytes += len(text_frame(frame))
            map_bytes += len(binary_frame(msgspec.msgpack.encode(msgspec.json.decode(frame))))
            updates += 1
        for start in range(0, len(told), TICK_UPDATES):
            tick = told[start : start + TICK_UPDATES]
            whole_bytes += len(whole.frames([each for each, _ in tick]))
            changed_bytes += len(changed.frames([each for _, each in tick]))
        told.clear()
    sizes = {
        "JSON, a text frame each": plain_bytes,
        "the same as msgpack, a frame each": map_bytes,
        "a tick as one list, all fields by position": whole_bytes,
        "a tick as one list, only what changed (`rpn.msgpack`)": changed_bytes,
    }
    for name, size in sizes.items():
        print(f"| {name} | {size / updates:.0f} | {100 * size / plain_bytes:.0f} % |")


def _first(rng: random.Random) -> Resources:
    cores, memory, storage = rng.choice([4, 8, 16]), rng.choice([8192, 16384, 65536]), 953_674
    has_gpu = rng.random() < 0.3
    return Resources(
        *(10.0, 90.0, cores, memory // 3, memory - memory // 3, memory, 500_000, storage - 500_000, storage),
        has_gpu=has_gpu,
        gpu_name="NVIDIA GeForce RTX 3080" if has_gpu else None,
        gpu_usage=0.0 if has_gpu else None,
    )


def _next(rng: random.Random, before: Resources) -> Resources:
    """Two seconds later: the CPU is another, memory nearly always, storage seldom."""
    cpu = round(rng.uniform(0, 100), 1)
    memory = max(0, min(before.memory_total, before.memory_usage + rng.randint(-40, 40)))
    storage = before.storage_usage + (rng.random() < 0.05)
    return msgspec.structs.replace(
        before,
        cpu_usage=cpu,
        cpu_available=round(100 - cpu, 1),
        memory_usage=memory,
        memory_available=before.memory_total - memory,
        storage_usage=storage,
        storage_available=before.storage_total - storage,
        gpu_usage=round(rng.uniform(0, 100), 0) if before.has_gpu else None,
    )


if __name__ == "__main__":
    main()
