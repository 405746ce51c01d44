"""The `rpn` command, one file a command family."""
