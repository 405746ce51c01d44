"""`rpn completion`: what a shell needs to complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what SHELL needs to complete `rpn` commands and options.

    \b
    Example:
      rpn completion bash > ~/.local/share/bash-completion/completions/rpn
      rpn completion zsh > "${fpath[1]}/_rpn"
      rpn completion fish > ~/.config/fish/completions/rpn.fish
    """
    from rpn.cli import rpn

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(rpn, {}, "rpn", "_RPN_COMPLETE").source())
