"""`python -m rpn.cli`: the `rpn` command where its script is not on the path."""

from rpn.cli import main

main()
