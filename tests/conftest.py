"""What holds for every test: what a property finds counts, neither the machine's speed nor chance.

`--hypothesis-profile=search` tries other examples each time, and says how to see again what it finds.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from hypothesis import HealthCheck, settings

IDLE = Path(__file__).parent / "support" / "idle"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(IDLE), os.environ.get("PYTHONPATH")]))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("house", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("house")
