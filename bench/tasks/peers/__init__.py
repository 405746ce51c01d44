"""Others that run tasks, doing nothing in the same conditions: two workers, every write on disk."""
