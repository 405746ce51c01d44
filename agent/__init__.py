"""The agent: reports what its machine has, and runs what the pool assigns to it."""
