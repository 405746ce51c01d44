"""How long a test waits for another process: long for a busy machine, and over for what never comes."""

PATIENCE_S = 30.0
PROGRAM_LIMIT_S = 120.0
"""for a program with much to do: an example, a build"""
