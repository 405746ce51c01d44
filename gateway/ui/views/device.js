// One device: what it has and does, its last quarter of an hour, what it gives to whom.

import { split } from "../amounts.js";
import { drawAreas } from "../chart.js";
import { copyButton, h, list, named, setAttr, setText } from "../dom.js";
import { ago, clock, cores, percent, printable, size, span, whole } from "../format.js";
import { stepOf } from "../history.js";
import { platformIcon } from "../icons.js";
import { empty, setStateBadge, stateBadge, toneBar } from "../parts.js";
import { address } from "../router.js";
import { gpuText } from "./cards.js";
import { taskName } from "./running.js";

const CHARTS = [
  ["cpu", "CPU", ({ resources: r }) => `${whole(r.cpuUsage)} of ${cores(r.cpuCores * 100)} cores`],
  [
    "memory",
    "Memory",
    ({ resources: r }) => `${whole(percent(r.memoryUsage, r.memoryTotal))} of ${size(r.memoryTotal)}`,
  ],
  ["gpu", "GPU", (row) => gpuText(row.resources, row.held).replace("GPU: ", "")],
];
const SPLITS = [
  ["cpu", "CPU", (value) => `${cores(value)} cores`],
  ["memory", "Memory", size],
  ["storage", "Storage", size],
  ["gpu", "GPU", (value) => Number(value.toFixed(1))],
];

export function deviceView(app, route) {
  return new DeviceView(app, route.rest[0]);
}

class DeviceView {
  constructor(app, id) {
    this._app = app;
    this._id = id;
    this._row = app.state.devices.get(id);
    this.title = this._row?.name ?? "Device";
    this.element = h("section", { class: "device" });
    this._details = h("div");
    this._build();
  }

  update() {
    const row = this._app.state.devices.get(this._id);
    if (row && !this._row) this._build(row);
    if (!this._row) return;
    if (row) this._row = row;
    this._status(row);
    for (const each of this._charts) each.update(this._row);
    for (const each of this._splits) each.update(split(this._row), this._row.reported);
    this._listTasks();
  }

  _build(row = this._row) {
    this._row = row;
    const back = h("a", { class: "back", href: address("devices") }, "← All devices");
    if (!row) {
      const words = this._app.state.listed ? "This device is not in the pool." : "Connecting to the pool.";
      this.element.replaceChildren(back, empty(words, h("p", { class: "mono" }, printable(this._id))));
      return;
    }
    this._askHistory();
    this._ask();
    this._state = h("span", { class: "badge" });
    this._heard = h("span", { class: "hint" });
    this._charts = CHARTS.filter(([name]) => name !== "gpu" || row.resources.hasGPU).map((each) =>
      chart(...each),
    );
    this._splits = SPLITS.filter(([name]) => name !== "gpu" || row.resources.hasGPU).map((each) =>
      splitLine(...each),
    );
    this._tasks = h("ul", { class: "rows" });
    this.element.replaceChildren(
      back,
      h(
        "div",
        { class: "title-line" },
        platformIcon(row.platform),
        h("h1", {}, named(row.name)),
        this._state,
        this._heard,
      ),
      h(
        "div",
        { class: "columns" },
        h(
          "div",
          { class: "panel live-data" },
          h("h2", {}, "The last 15 minutes"),
          this._charts.map((each) => each.element),
          h(
            "p",
            { class: "axis hint", "aria-hidden": "true" },
            ["15 min ago", "10", "5", "now"].map((text) => h("span", {}, text)),
          ),
        ),
        h(
          "div",
          { class: "stack" },
          h(
            "div",
            { class: "panel live-data" },
            h("h2", {}, "Who uses it"),
            this._splits.map((each) => each.element),
          ),
          h("div", { class: "panel" }, h("h2", {}, "Runs for the pool"), this._tasks),
          h("div", { class: "panel" }, h("h2", {}, "About"), facts(row), this._details),
        ),
      ),
    );
  }

  _status(row) {
    const words = !row ? "left the pool" : row.isOnline ? "in the pool" : "connection lost";
    setText(this._state, words);
    setAttr(this._state, "class", `badge ${row?.isOnline ? "good" : "bad"}`);
    setText(
      this._heard,
      row ? `heard ${ago(Date.now() - row.seenMs)}` : `last heard at ${clock(this._row.seenMs)}`,
    );
  }

  _listTasks() {
    const tasks = [...this._app.state.tasks.values()].filter((task) => task.deviceId === this._id);
    tasks.sort((a, b) => b.submittedMs - a.submittedMs);
    const held = [...this._app.state.allocations.values()].filter((each) =>
      each.allocatedDevices?.some(({ deviceId }) => deviceId === this._id),
    );
    const rows = [...held.map((each) => ({ id: each.id, allocation: each })), ...tasks.slice(0, 20)];
    list(
      this._tasks,
      rows.length ? rows : [{ id: "", nothing: true }],
      (each) => `${each.submitterId ?? ""}/${each.id}`,
      makeRow,
      updateRow,
    );
  }

  /** What was before this page came. */
  async _askHistory() {
    try {
      const value = await this._app.rest.call("GET", `api/history/${encodeURIComponent(this._id)}`);
      this._app.tell({ type: "answer", name: "deviceHistory", value: { ...value, id: this._id } });
    } catch {
      // Then the charts begin now.
    }
  }

  /** What the gateway tells beside the resources: labels, capabilities, the owner's policy. */
  async _ask() {
    try {
      const told = await this._app.rest.call("GET", `api/devices/${encodeURIComponent(this._id)}`);
      this._details.replaceChildren(...described(told));
    } catch (error) {
      if (error.status !== 404)
        this._details.replaceChildren(h("p", { class: "hint" }, `More is not known now: ${error.message}.`));
    }
  }
}

function chart(name, title, words) {
  const value = h("span", { class: "chart-value" });
  const canvas = h("canvas", { class: "chart", role: "img" });
  const element = h("figure", {}, h("figcaption", {}, h("span", {}, title), value), canvas);
  const update = (row) => {
    setText(value, row.reported ? words(row) : "not measured yet");
    setAttr(canvas, "aria-label", `${title} over 15 minutes, now ${value.textContent}`);
    if (canvas.clientWidth)
      drawAreas(canvas, [{ values: row.history.read(name, stepOf(Date.now())), tone: "spark" }], 100, {
        lines: 2,
      });
  };
  return { element, update };
}

function splitLine(name, title, show) {
  const bar = toneBar(title);
  const texts = ["owners", "pool", "free"].map((tone) => h("span", { class: `key ${tone}` }));
  const element = h(
    "div",
    { class: "split" },
    h("h3", {}, title),
    bar.element,
    h("p", { class: "split-parts" }, texts),
  );
  const update = (parts, reported) => {
    bar.update(parts[name]);
    ["owners", "pool", "free"].forEach((tone, at) =>
      setText(texts[at], reported ? `${show(parts[name][tone])} ${tone}` : "–"),
    );
  };
  return { element, update };
}

function makeRow(item) {
  if (item.nothing) return h("li", { class: "hint" }, "Nothing now.");
  if (item.allocation) {
    return h(
      "li",
      {},
      h("span", { class: "badge accent" }, "reserved"),
      h("span", {}, "for ", named(printable(item.allocation.requestingDevice))),
    );
  }
  return h(
    "li",
    {},
    stateBadge(item.state),
    h("a", { href: address("work", [item.submitterId, item.id]) }, taskName(item)),
    h("span", { class: "hint" }),
  );
}

function updateRow(element, item) {
  if (item.nothing || item.allocation) return;
  setStateBadge(element.firstChild, item.state);
  const began = item.startedMs || item.assignedMs;
  setText(element.lastChild, began ? span((item.endedMs || Date.now()) - began) : "");
}

function facts(row) {
  const pairs = [
    ["Platform", row.platform],
    ["Address", row.ipAddress],
    ["Seen here since", clock(row.sinceMs)],
    ["GPU", row.resources.gpuName && printable(row.resources.gpuName)],
  ];
  const id = h(
    "dd",
    {},
    h("span", { class: "mono breaks" }, printable(row.id)),
    " ",
    copyButton(() => row.id),
  );
  const shown = pairs
    .filter(([, value]) => value)
    .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, named(value))]);
  return h("dl", { class: "pairs" }, shown, h("dt", {}, "Id"), id);
}

/** Labels, capabilities and policy as pairs; whatever the agent tells is shown as it is. */
function described({ labels = {}, capabilities = {} }) {
  const chips = Object.entries(labels).map(([name, value]) =>
    h("li", { class: "chip" }, named(printable(value ? `${name}: ${value}` : name))),
  );
  const pairs = Object.entries(capabilities).flatMap(([name, value]) => [
    h("dt", {}, printable(name)),
    h("dd", {}, named(plain(value))),
  ]);
  return [
    chips.length ? h("ul", { class: "chips", "aria-label": "Labels" }, chips) : null,
    pairs.length ? h("dl", { class: "pairs" }, pairs) : null,
  ].filter(Boolean);
}

function plain(value) {
  if (Array.isArray(value)) return value.map(plain).join(", ") || "none";
  if (value !== null && typeof value === "object")
    return Object.entries(value)
      .map(([name, each]) => `${printable(name)} ${plain(each)}`)
      .join(", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  return printable(value);
}
