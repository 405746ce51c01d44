"""`rpn request`, `rpn allocations`, `rpn release`: reserve a part of the pool and give it back."""

from __future__ import annotations

import sys
from contextlib import closing
from functools import wraps
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from rpn.cli.explain import why_not
from rpn.cli.present import as_json, gib, note, table
from rpn.cli.questions import Command, answers_json, asks_pool, device_id, named, place, the_one

if TYPE_CHECKING:
    from rpn.client.api import Api

NOT_FULFILLED = 1
"""exit status when the pool answered, but not with what was asked for"""


class Labels(click.ParamType):  # type: ignore[type-arg]
    """`KEY=VALUE`, as often as wanted."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        key, separator, text = str(value).partition("=")
        if not separator or not key:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key, text


class Seconds(click.FloatRange):
    """A time that ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        return seconds if isfinite(seconds) else self.fail(f"{value} is no time", param, ctx)


def needs_options(command: Any) -> Any:
    """What a task or a request needs; `needs_of` turns it into requirements."""
    command = _knowing_devices(command)
    for option in reversed(
        [
            click.option("--cpu", type=float, default=0, metavar="CORES", help="cores; 0.5 is half of one"),
            click.option("--mem", "memory", default="0", metavar="SIZE", help="memory: 512M, 4G"),
            click.option("--storage", default="0", metavar="SIZE", help="storage: 512M, 4G"),
            click.option("--gpu", is_flag=True, help="one GPU"),
            click.option(
                "--label", "labels", type=Labels(), multiple=True, help="only devices with this label"
            ),
            click.option(
                "--exclude",
                multiple=True,
                metavar="NAME",
                help="not this device, by its name or id; may be repeated",
            ),
        ]
    ):
        command = option(command)
    return command


def _knowing_devices(command: Command) -> Command:
    """Have `command` get the ids of the devices that `--exclude` names."""

    @wraps(command)
    def knowing(**said: Any) -> Any:
        if said["exclude"]:
            said["exclude"] = _ids(said["exclude"], said["server"], said["token_file"])
        return command(**said)

    return knowing


def _ids(names: tuple[str, ...], server: str | None, token_file: str | None) -> tuple[str, ...]:
    from rpn.client.api import Api

    url, token = place(server, token_file)
    with closing(Api(url, token=token)) as api:
        return tuple(device_id(api, name) for name in names)


def needs_of(
    *,
    cpu: float,
    memory: str,
    storage: str,
    gpu: bool,
    labels: tuple[tuple[str, str], ...],
    exclude: tuple[str, ...],
    **more: Any,
) -> dict[str, Any]:
    """The `requirements` of the wire. Raises BadRequirements."""
    import msgspec

    from rpn.client.options import requirements

    found = requirements(
        cpu=cpu, memory=memory, storage=storage, gpu=gpu, labels=dict(labels), exclude=exclude, **more
    )
    built: dict[str, Any] = msgspec.to_builtins(found)
    return built


@click.command(short_help="Reserve resources.")
@needs_options
@click.option("--devices", type=click.IntRange(1, 1000), help="exactly so many devices, an equal share each")
@click.option("--spread", is_flag=True, help="the emptiest devices first, not the fullest")
@click.option("--ttl", type=Seconds(min=0.1), metavar="SECONDS", help="how long it is held unless renewed")
@click.option("--dry-run", is_flag=True, help="tell what would be reserved now, and reserve nothing")
@answers_json
@asks_pool
def request(
    api: Api,
    devices: int | None,
    spread: bool,
    ttl: float | None,
    dry_run: bool,
    json_wanted: bool,
    **needs: Any,
) -> None:
    """Reserve resources, on one device or over several; exit 1 if the pool has no room.

    \b
    Example:
      rpn request --cpu 2 --mem 4G
      rpn request --cpu 16 --mem 32G --gpu --dry-run
      rpn request --mem 8G --devices 4 --ttl 600
    """
    body = {
        "requirements": needs_of(**needs, devices=devices, strategy="spread" if spread else None),
        "dryRun": dry_run,
    }
    if ttl is not None:
        body["ttl"] = ttl
    answer = api.post("api", "allocations", body=body)
    if json_wanted:
        as_json(answer)
    else:
        _tell(answer, dry_run=dry_run)
    sys.exit(0 if answer["allocation"]["fulfilled"] else NOT_FULFILLED)


def _tell(answer: dict[str, Any], *, dry_run: bool) -> None:
    allocation = answer["allocation"]
    if not allocation["fulfilled"]:
        why_not(answer.get("reason"))
        return
    table(
        ("DEVICE", "CORES", "MEMORY", "STORAGE", "GPU"),
        [_share(each) for each in allocation["allocatedDevices"]],
    )
    if dry_run:
        note("dry run: nothing was reserved")
    else:
        until = answer.get("expiresAt", "it is released")
        note(f"held until {until}; to give it back: rpn release {allocation['id']}")


def _share(share: dict[str, Any]) -> tuple[str, ...]:
    return (
        share["deviceName"],
        f"{share['allocatedCpu'] / 100:g}",
        gib(share["allocatedMemory"]),
        gib(share["allocatedStorage"]),
        "1" if share["allocatedGpu"] else "-",
    )


@click.command(short_help="List what is reserved.")
@click.option("--requester", metavar="NAME", help="only what this one holds")
@answers_json
@asks_pool
def allocations(api: Api, requester: str | None, json_wanted: bool) -> None:
    """List what is reserved in the pool, the newest first.

    \b
    Example:
      rpn allocations --requester rest
    """
    answer = api.get("api", "allocations", requester=requester)
    if json_wanted:
        as_json(answer)
    else:
        rows = [_row(each) for each in answer["allocations"]]
        table(("ID", "HOLDER", "CORES", "MEMORY", "GPU", "DEVICES", "UNTIL"), rows)


def _row(held: dict[str, Any]) -> tuple[str, ...]:
    allocation = held["allocation"]
    needs, shares = allocation["requirements"], allocation["allocatedDevices"]
    return (
        allocation["id"][:13],
        allocation["requestingDevice"],
        f"{needs['cpu'] / 100:g}",
        gib(needs["memory"]),
        "1" if needs["gpu"] else "-",
        ", ".join(share["deviceName"] for share in shares),
        held.get("expiresAt", "released"),
    )


@click.command(short_help="Give an allocation back.")
@click.argument("allocation")
@asks_pool
def release(api: Api, allocation: str) -> None:
    """Give an allocation back; ALLOCATION is its id, or the beginning of it.

    \b
    Example:
      rpn release 3f2a
    """
    named("allocation", allocation)
    held = api.get("api", "allocations")["allocations"]
    ids = [each["allocation"]["id"] for each in held]
    found = the_one("allocation", allocation, [(each, (each,)) for each in ids])
    api.delete("api", "allocations", found)
    note(f"{found} is free again")
