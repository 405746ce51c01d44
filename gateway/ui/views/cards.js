// A few devices as cards: each with its load, what it runs and its last quarter of an hour.

import { split } from "../amounts.js";
import { drawAreas } from "../chart.js";
import { h, list, named, setAttr, setText } from "../dom.js";
import { cores, printable, size, whole } from "../format.js";
import { stepOf } from "../history.js";
import { platformIcon } from "../icons.js";
import { toneBar } from "../parts.js";
import { address } from "../router.js";
import { runningLine } from "./running.js";

const SHOWN_LIMIT = 120;
const STEPS = 60;
/** the chart of a card: five minutes */
const LINES = [
  ["cpu", "CPU", (parts) => `${cores(parts.free)} of ${cores(parts.total)} cores free`],
  ["memory", "Memory", (parts) => `${size(parts.free)} of ${size(parts.total)} free`],
  ["storage", "Storage", (parts) => `${size(parts.free)} of ${size(parts.total)} free`],
];

export class Cards {
  constructor(app) {
    this._app = app;
    this._grid = h("ul", { class: "cards" });
    this._more = h("p", { class: "hint", hidden: true });
    this.element = h("div", {}, this._grid, this._more);
    this._cards = new WeakMap();
    this._step = -1;
  }

  update(rows) {
    const step = stepOf(Date.now());
    list(
      this._grid,
      rows.slice(0, SHOWN_LIMIT),
      (row) => row.id,
      (row) => this._make(row),
      (element, row) => {
        this._cards.get(element).update(row, step);
      },
    );
    this._more.hidden = rows.length <= SHOWN_LIMIT;
    setText(this._more, `${rows.length - SHOWN_LIMIT} more: search, or show them as a table or map.`);
  }

  _make(row) {
    const card = new Card(row);
    this._cards.set(card.element, card);
    return card.element;
  }
}

class Card {
  constructor(row) {
    this._name = named("", { class: "card-name" });
    this._platform = h("span", { class: "hint" });
    this._load = h("span", { class: "card-load" });
    this._chart = h("canvas", { class: "card-chart", "aria-hidden": "true" });
    this._lines = LINES.map(([name, title]) => line(name, title));
    this._gpu = h("p", { class: "card-line-text gpu", hidden: true });
    this._running = runningLine();
    this._badge = h("span", { class: "badge bad", hidden: true }, "connection lost");
    this.element = h(
      "li",
      { class: "card", "data-device": row.id },
      h(
        "a",
        { class: "card-head", href: address("devices", [row.id]) },
        platformIcon(row.platform),
        h("span", { class: "card-title" }, this._name, this._platform),
        this._badge,
        this._load,
      ),
      this._chart,
      this._lines.map((each) => each.element),
      this._gpu,
      this._running.element,
    );
    this._step = -1;
  }

  update(row, step) {
    const { resources: r } = row;
    setText(this._name, row.name);
    setAttr(this._name, "title", row.name);
    setText(this._platform, row.platform);
    setText(this._load, row.reported ? whole(r.cpuUsage) : "–");
    this._badge.hidden = row.isOnline;
    const parts = split(row);
    for (const each of this._lines) each.update(row.reported, parts);
    this._gpu.hidden = !r.hasGPU;
    if (r.hasGPU) setText(this._gpu, gpuText(r, row.held));
    this._running.update(row);
    if (step !== this._step && this._chart.clientWidth) this._draw(row, step);
  }

  _draw(row, step) {
    this._step = step;
    drawAreas(this._chart, [{ values: row.history.read("cpu", step, STEPS), tone: "spark" }], 100);
  }
}

function line(name, title) {
  const bar = toneBar(title);
  const text = h("span", { class: "card-line-text" });
  const element = h(
    "div",
    { class: `card-line ${name}` },
    h("span", { class: "card-line-name" }, title),
    text,
    bar.element,
  );
  const show = LINES.find(([each]) => each === name)[2];
  const update = (reported, parts) => {
    setText(text, reported ? show(parts[name]) : "not measured yet");
    bar.update(parts[name]);
  };
  return { element, update };
}

/** A GPU in words: its name, its load, whether it is taken. */
export function gpuText(r, held) {
  const taken = (held.work.gpu ?? 0) + (held.shares.gpu ?? 0) > 0;
  const load = r.gpuUsage === null || r.gpuUsage === undefined ? "" : `, ${whole(r.gpuUsage)} busy`;
  return `GPU: ${printable(r.gpuName ?? "unnamed")}${load}${taken ? ", taken by the pool" : ""}`;
}
