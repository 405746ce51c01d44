// Why a request or a task has nothing, for people: what is missing where, and what would help.

import { h, named } from "../dom.js";
import { address } from "../router.js";
import { cores, count, printable, size } from "../format.js";

const NAMES = {
  cpu: "CPU",
  memory: "memory",
  storage: "storage",
  gpu: "a GPU",
  labels: "the labels",
  exclude: "permission: they are excluded",
  commands: "the command",
  offline: "a connection",
};

function amount(name, value) {
  return (
    {
      cpu: () => `${cores(value)} cores`,
      memory: () => `${size(value)} memory`,
      storage: () => `${size(value)} storage`,
      gpu: () => "a GPU",
    }[name]?.() ?? `${printable(name)} ${value}`
  );
}

function lacking(counts, words) {
  return Object.entries(counts ?? {}).map(([name, number]) =>
    h(
      "li",
      {},
      `${count(number, "device")} ${number === 1 ? "lacks" : "lack"} ${NAMES[name] ?? printable(name)}${words}`,
    ),
  );
}

/** The parts that explain a Reason. */
export function reasonParts({ code, message, filtered, exhausted, nearest, change }, app) {
  const lines = [
    ...lacking(filtered, code === "CONSTRAINT" ? "" : " even when idle"),
    ...lacking(exhausted, " right now"),
  ];
  const near =
    nearest &&
    h(
      "p",
      {},
      "Closest: ",
      h(
        "a",
        { href: address("devices", [nearest.deviceId]) },
        named(printable(app.state.devices.get(nearest.deviceId)?.name ?? nearest.deviceName)),
      ),
      ", short of ",
      Object.entries(nearest.missing)
        .map(([name, value]) => amount(name, value))
        .join(" and "),
      ".",
    );
  const help =
    change &&
    h(
      "p",
      {},
      "It would fit now with ",
      Object.entries(change)
        .map(([name, value]) => (name === "gpu" ? "no GPU" : `only ${amount(name, value)}`))
        .join(" and "),
      ".",
    );
  return [
    h("p", { class: "reason" }, printable(message)),
    lines.length ? h("ul", { class: "lacks" }, lines) : null,
    near,
    help,
  ].filter(Boolean);
}
