"""List the pool's devices, then run a task on the one that fits."""

import asyncio

from rpn.client.pool import AsyncPool


async def main() -> None:
    async with AsyncPool("http://127.0.0.1:3000") as pool:
        print([device.name for device in await pool.devices()])
        print(await pool.submit("primes", {"n": 100_000}))


asyncio.run(main())
