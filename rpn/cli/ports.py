"""Makes sure of a port before a gateway needs it, and says who has it."""

from __future__ import annotations

import errno
import socket

from rpn.errors import ServerFailed

TRIES = 20
LAST_PORT = 65535


def free_ports(host: str, first: int, count: int) -> list[int]:
    """`count` consecutive ports from `first` on (0: from any). Raises ServerFailed: one is taken, by whom."""
    if first != 0:
        return _claim(host, first, count)
    for _ in range(TRIES):
        found = _any_port(host)
        try:
            return _claim(host, found, count)
        except ServerFailed:
            continue
    raise ServerFailed(f"no {count} free ports in a row on {host}")


def _claim(host: str, first: int, count: int) -> list[int]:
    ports = list(range(first, first + count))
    for port in ports:
        _check(host, port)
    return ports


def _check(host: str, port: int) -> None:
    if port > LAST_PORT:
        raise ServerFailed(f"there is no port {port}: choose a lower one with --port")
    try:
        _bind(host, port)
    except OSError as error:
        raise ServerFailed(_why(host, port, error)) from None


def _any_port(host: str) -> int:
    try:
        return _bind(host, 0)
    except OSError as error:
        raise ServerFailed(_why(host, 0, error)) from None


def _bind(host: str, port: int) -> int:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        bound: int = probe.getsockname()[1]
        return bound


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by {_owner(port)}: end it, or choose another port with --port"
    if error.errno == errno.EACCES:
        return f"this user may not open port {port}: choose one above 1023 with --port"
    return (
        f"cannot listen on {host}: {error.strerror or error}; choose an address of this machine with --host"
    )


def _owner(port: int) -> str:
    """The process that listens on `port`, as far as this user may see it."""
    import psutil

    try:
        found = [c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port]
        listening = [c.pid for c in found if c.status == psutil.CONN_LISTEN and c.pid]
        if listening:
            return f"{psutil.Process(listening[0]).name()} (pid {listening[0]})"
    except psutil.Error:
        pass
    return "a process that this user cannot see"
