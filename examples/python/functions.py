"""Spread a function of your own over the pool, as the standard library's executors do over processes."""

from rpn import Executor


def collatz(n: int) -> int:
    """How many steps it takes from n to 1."""
    steps = 0
    while n > 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


with Executor("http://127.0.0.1:3000") as pool:
    steps = list(pool.map(collatz, range(1, 201)))
print(f"the longest way below 201 begins at {steps.index(max(steps)) + 1}: {max(steps)} steps")
