"""How long a test waits for another process: long for a busy machine, and over for what never comes."""

PATIENCE_S = 30.0
