"""Found by Python as it starts: the agents of tests see a machine with nothing else to do.

They offer what their machine has left, so one that is busy with tests would leave their tasks waiting.
"""

import sys

if sys.orig_argv[-2:] == ["-m", "agent"]:
    import psutil

    psutil.cpu_percent = lambda: 0.0
