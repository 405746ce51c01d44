"""See who is in the pool, have a task run where it fits, and keep a part of the pool for a while."""

from rpn import Pool

with Pool("http://127.0.0.1:3000") as pool:
    print([device.name for device in pool.devices()])
    print(pool.submit("primes", {"n": 100_000}).result())
    with pool.allocate(memory="256 MiB", wait_s=30) as held:
        print([f"{share.allocated_memory} MB on {share.device_name}" for share in held.shares])
