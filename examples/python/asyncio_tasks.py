"""Use a pool from asyncio: many tasks at once, results as they come, and one that is stopped."""

import asyncio

from rpn import AsyncPool, TaskFailed, as_completed


async def main() -> None:
    async with AsyncPool("http://127.0.0.1:3000") as pool:
        tasks = [pool.submit("primes", {"n": 10**power}) for power in range(1, 7)]
        async for task in as_completed(tasks):
            print(task.id[:8], task.state, await task)

        slow = pool.submit("sleep", {"seconds": 3600})
        slow.cancel()
        try:
            await slow
        except TaskFailed as failed:
            print("stopped:", failed.code)


asyncio.run(main())
