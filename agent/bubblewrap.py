"""Bubblewrap: the jail of programs where the kernel has no Landlock but lets users have namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

PROBE_LIMIT_S = 5


@cache
def found() -> str:
    """Where bwrap is, if it is there and works; else nothing."""
    import shutil  # what no task's process needs, which is a copy of the warden
    import subprocess

    path = shutil.which("bwrap")
    if path is None:
        return ""
    probe = [path, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    try:
        done = subprocess.run(probe, capture_output=True, timeout=PROBE_LIMIT_S, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return path if done.returncode == 0 else ""


def wrapped(
    argv: Sequence[str],
    *,
    bwrap: str,
    folder: str,
    reads: Iterable[str],
    writes: Iterable[str],
    network: bool,
) -> list[str]:
    """The command that runs `argv` where there is nothing but these files and folders."""
    command = [bwrap, "--unshare-all", *(["--share-net"] if network else []), "--die-with-parent"]
    for path in reads:
        command += ["--ro-bind-try", path, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for path in writes:
        command += ["--dev-bind-try" if path.startswith("/dev/") else "--bind-try", path, path]
    return [*command, "--chdir", folder, "--", *argv]
