"""Send a WebAssembly module to the pool, run it on every device that takes modules, and compare."""

import asyncio
import hashlib
from pathlib import Path

from rpn.client.blobs import Gateway, send
from rpn.client.options import Options
from rpn.client.pool import AsyncPool

SERVER = "ws://127.0.0.1:3000/ws"
MODULE = Path(__file__).with_name("mandelbrot.wasm")


async def main() -> None:
    with MODULE.open("rb") as file:
        module = await send(Gateway(SERVER), file)
    data = {"module": {"blob": module.blob}, "args": ["64", "24", "1000"]}
    async with AsyncPool(SERVER) as pool:
        devices = [device for device in await pool.devices() if device.resources.cpu_cores]
        tasks = []
        for chosen in devices:
            others = tuple(device.id for device in devices if device.id != chosen.id)
            tasks.append(pool.submit_data(Options(exclude=others, memory=16), data, kind="wasm"))
        pictures = await asyncio.gather(*tasks)
    print(pictures[0])
    digests = {hashlib.sha256(picture.encode()).hexdigest() for picture in pictures}
    print(f"{len(pictures)} devices, {len(digests)} picture: {digests.pop()}")


asyncio.run(main())
