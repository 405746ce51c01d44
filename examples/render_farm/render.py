"""Draw one frame of a film: the job comes by standard input, the picture goes to standard output as PGM."""

import json
import math
import sys

WIDTH, HEIGHT, ROUNDS = 96, 54, 48


def shade(x: int, y: int, turn: float) -> int:
    """How long the Julia set of this moment holds a point: 0 to 255."""
    z = complex(3.2 * x / WIDTH - 1.6, 1.8 * y / HEIGHT - 0.9)
    c = 0.7885 * complex(math.cos(turn), math.sin(turn))
    for rounds in range(ROUNDS):
        if abs(z) > 2:
            return 255 * rounds // ROUNDS
        z = z * z + c
    return 255


job = json.load(sys.stdin)
turn = 2 * math.pi * job["frame"] / job["frames"]
print("P2", WIDTH, HEIGHT, 255)
for y in range(HEIGHT):
    print(*(shade(x, y, turn) for x in range(WIDTH)))
    print(f"RPN_PROGRESS {(y + 1) / HEIGHT:.2f}", file=sys.stderr)
