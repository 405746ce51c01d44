"""Redis, and only here: every key, every script, every command."""
