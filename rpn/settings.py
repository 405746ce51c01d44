"""What an operator may set: one frozen value per service, read once when its process starts.

A field `device_limit` is the variable `RPN_DEVICE_LIMIT`; `RPN_DEVICE_LIMIT_FILE` names a file
that holds the value (for secrets). A flag beats the environment, the environment a default.
docs/settings.md lists them all; a test keeps it complete.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from rpn.environ import told
from rpn.errors import BadSettings
from rpn.expected import expected

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Duration = Annotated[float, Meta(gt=0, le=31_536_000)]
Folder = Annotated[str, Meta(min_length=1)]
PoolName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}\Z")]


def default_data_dir() -> str:
    """Where this user's pool data lives unless told: the platform's place for it."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return str(Path(base) / "rpn")


class Settings(Struct, frozen=True, kw_only=True):
    """What every process has."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"


class StoreSettings(Settings, frozen=True, kw_only=True):
    """What every process has that talks to the pool's server."""

    redis_url: str = "redis://127.0.0.1:6379/0"
    durability: Literal["local", "replica"] = "local"
    """who must have what is accepted: the pool's server alone, or a replica of it too"""
    pool: PoolName = "default"
    gateway_lease_s: Duration = 4
    """a gateway that has not renewed for this long is dead"""
    reconnect_grace_s: Duration = 5
    """how long a device whose socket broke stays in the pool"""
    silence_limit_s: Duration = 30
    """how long a device may say nothing"""
    task_retention_s: Duration = 3600
    """how long a finished task and its result are kept"""


class GatewaySettings(StoreSettings, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Port = 3000
    auth: Literal["open", "token"] = "open"
    """whether everybody who reaches the gateway may use the pool, or the bearer of a token"""
    insecure_open: Literal["no", "yes"] = "no"
    """`yes`: be open on an address that other machines reach"""
    seed_tokens: str = ""
    """tokens that are to be known from the start, separated by white space; best by RPN_SEED_TOKENS_FILE"""
    tls_cert: str = ""
    """PEM file with the certificate chain; with it the gateway speaks https and wss"""
    tls_key: str = ""
    """PEM file with the certificate's key"""
    allowed_hosts: str = ""
    """comma-separated names in `Host` that we answer for, beside addresses and localhost"""
    trusted_proxies: str = ""
    """comma-separated networks (CIDR) of proxies whose X-Forwarded-For is believed"""
    device_limit: Count = 100
    observer_limit: Count = 1000
    rest_rate_limit: Count = 100
    """requests a minute and address over all gateways; 0 turns it off"""
    register_limit_s: Duration = 10
    """how long a connection may stay without registering or observing"""
    slow_limit_s: Duration = 5
    """how long a client may take nothing of what waits for it"""
    outbox_limit_kib: Annotated[int, Meta(ge=64, le=1_048_576)] = 256
    """what may wait for one client before it counts as lagging"""
    drain_notice_s: Annotated[float, Meta(ge=0, le=60)] = 0
    """how long, before that, `/readyz` says 404 while all are served: until a balancer sends nobody new"""
    drain_s: Duration = 3
    """over how long closes are spread when the gateway goes away"""
    open_task_limit: Count = 250_000
    """tasks not finished yet, over the whole pool"""
    submitter_task_limit: Count = 100_000
    """tasks not finished yet, of one submitter"""
    call_limit_s: Duration = 5
    """how long a REST request waits for the scheduler"""
    allocation_ttl_s: Duration = 300
    """how long an allocation made by REST is held unless its request says otherwise"""
    allocation_ttl_limit_s: Duration = 86_400
    """the longest time that may be asked for"""
    blob_limit_mib: Annotated[int, Meta(ge=1, le=1024)] = 64
    """what one blob may have"""
    blob_quota_mib: Annotated[int, Meta(ge=1, le=1_048_576)] = 1024
    """what all blobs of the pool may have together"""
    blob_ttl_s: Duration = 86_400
    """how long a blob is kept that nobody uses"""
    blob_rate_limit: Count = 3000
    """requests for blobs a minute and address over all gateways, beside all others; 0 turns it off"""


class SchedulerSettings(StoreSettings, frozen=True, kw_only=True):
    scheduler_lease_s: Duration = 2
    """a leader that has not renewed for this long is succeeded by another"""
    allocation_grace_s: Duration = 30
    """how long an allocation outlives its requester's broken connection"""
    allocation_limit: Annotated[int, Meta(ge=1, le=100_000)] = 16
    """what one device may hold; the next request lets the oldest go"""
    caller_allocation_limit: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    """what one requester may hold by REST"""
    queue_timeout_s: Duration = 3600
    """how long a task waits for a device unless it says otherwise"""
    infeasible_limit_s: Duration = 20
    """how long a task waits that no device of the pool could ever run"""
    headroom_percent: Annotated[float, Meta(ge=0, le=90)] = 0
    """of what each device has, never given away"""
    cancel_limit_s: Duration = 10
    """how long a cancelled attempt keeps its share while its agent says nothing"""
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    """devices a task may be lost with before it counts as poison"""
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 0
    """where `/metrics`, `/livez` and `/readyz` are served; 0: nowhere"""


class AgentSettings(Settings, frozen=True, kw_only=True):
    server: str = "ws://127.0.0.1:3000/ws"
    """gateways, comma-separated, tried in random order"""
    token: str = ""
    """of this device, where the pool asks for one; best by RPN_TOKEN_FILE"""
    join_token: str = ""
    """by which this machine becomes a device at its first start, instead of by `rpn agent join`"""
    server_cert: str = ""
    """PEM: the certificate that the server must show, whoever signed it; best by RPN_SERVER_CERT_FILE"""
    data_dir: Folder = msgspec.field(default_factory=default_data_dir)
    device_id: str = ""
    """by default made at the first start and kept in the data directory"""
    device_name: str = ""
    """by default the host's name"""
    allow_python: Literal["no", "yes"] = "no"
    """`yes`: whoever may submit tasks may have Python functions run here"""
    agent_config: str = ""
    """agent.toml with the owner's commands; by default in the data directory"""
    agent_metrics_host: str = "127.0.0.1"
    agent_metrics_port: Port = 0
    """where `/metrics`, `/livez` and `/readyz` are served; 0: nowhere"""


class UpSettings(Settings, frozen=True, kw_only=True):
    """`rpn up`: a whole pool on this machine. Every other setting goes on to its processes."""

    data_dir: Folder = msgspec.field(default_factory=default_data_dir)
    host: str = "127.0.0.1"
    port: Port = 3000
    gateways: Annotated[int, Meta(ge=1, le=64)] = 1
    tls: Literal["no", "yes"] = "no"
    """`yes`: speak https by a certificate made at the first start, unless one is named"""
    lan: Literal["no", "yes"] = "no"
    """`yes`: let the machines of this network in, by token, and tell them of the pool"""
    tls_cert: str = ""
    tls_key: str = ""


def speaks_tls(settings: GatewaySettings | UpSettings) -> bool:
    """Whether a certificate is named. Raises BadSettings without its key, and the other way round."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise BadSettings("RPN_TLS_CERT, RPN_TLS_KEY: a certificate and its key come together")
    return bool(settings.tls_cert)


SERVICES = (GatewaySettings, SchedulerSettings, AgentSettings, UpSettings)

S = TypeVar("S", bound=Settings)


def load(kind: type[S], environ: Mapping[str, str], **flags: Any) -> S:
    """The settings of one service; a flag that is None was not given. Raises BadSettings."""
    values: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        found = told(variable(name), environ)
        if found is not None:
            values[name] = found
    values.update((name, flag) for name, flag in flags.items() if flag is not None)
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(_named(str(error), kind, values)) from None


def variable(field_name: str) -> str:
    """The environment variable of a field."""
    return f"RPN_{field_name.upper()}"


def _named(text: str, kind: type[Settings], values: Mapping[str, Any]) -> str:
    """Which setting the validation error `text` is about, what it was given, and what it takes."""
    for field in msgspec.structs.fields(kind):
        if f"`$.{field.name}`" in text:
            return (
                f"{variable(field.name)}: {values[field.name]!r} cannot be; expected {expected(field.type)}"
            )
    return text
