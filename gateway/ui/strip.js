// The pool at a glance: CPU, memory, storage and GPUs, each in three tones with its last quarter of an hour.

import { tones } from "./amounts.js";
import { drawAreas } from "./chart.js";
import { h, setAttr, setText } from "./dom.js";
import { clock, cores, size } from "./format.js";
import { stepOf } from "./history.js";
import { toneBar } from "./parts.js";

const gpus = (number) => (Number.isInteger(number) ? String(number) : number.toFixed(1));
const METERS = [
  ["cpu", "CPU", (value) => cores(value), "cores free"],
  ["memory", "Memory", size, "free"],
  ["storage", "Storage", size, "free"],
  ["gpu", "GPUs", gpus, "free"],
];
const REDRAW_MS = 1_000;

export class Strip {
  constructor(app) {
    this._app = app;
    this._meters = METERS.map(([name, title, show, unit]) => meter(name, title, show, unit));
    document.getElementById("strip").append(...this._meters.map((each) => each.element));
    this._drawnMs = 0;
  }

  update() {
    const { state } = this._app;
    const sums = tones(state.devices.values());
    const nowMs = performance.now();
    const draws = nowMs - this._drawnMs >= REDRAW_MS;
    if (draws) this._drawnMs = nowMs;
    const live = state.link.name === "live" && !state.link.stale;
    const asOf = live || !state.liveMs ? "" : `as of ${clock(state.liveMs)}`;
    for (const each of this._meters)
      each.update(sums, { asOf, history: draws ? state.history : null, listed: state.listed });
  }
}

function meter(name, title, show, unit) {
  const label = h("span", { class: "meter-name" }, title);
  const number = h("span");
  const rest = h("span");
  const chart = h("canvas", {
    role: "img",
    "aria-label": `${title}: the last 15 minutes`,
    class: "live-data",
  });
  const bar = toneBar(title);
  const parts = ["owners", "pool"].map((tone) => h("span", { class: `key ${tone}` }));
  const element = h(
    "article",
    { class: "meter", id: `meter-${name}`, "aria-label": title },
    h(
      "div",
      {},
      label,
      h("p", { class: "meter-value live-data" }, number),
      h("p", { class: "meter-rest live-data" }, rest),
    ),
    chart,
    bar.element,
    h("p", { class: "meter-parts live-data" }, parts),
  );
  bar.element.classList.add("live-data");

  const update = (sums, { asOf, history, listed }) => {
    const [total, owners, pool] = [sums[`${name}Total`], sums[`${name}Owners`], sums[`${name}Pool`]];
    const free = Math.max(0, total - owners - pool);
    setText(label, asOf ? `${title}, ${asOf}` : title);
    setText(number, listed ? show(total ? free : 0) : "–");
    setText(rest, total ? `${unit} of ${show(total)}` : listed ? "none" : "");
    bar.update({ total, owners, pool });
    [
      [owners, "owners"],
      [pool, "pool"],
    ].forEach(([value, word], index) => setText(parts[index], `${value ? show(value) : 0} ${word}`));
    setAttr(element, "data-empty", total ? null : "");
    if (history) drawHistory(chart, history, name);
  };
  return { element, update };
}

function drawHistory(canvas, history, name) {
  const step = stepOf(Date.now());
  const read = (part) => history.read(`${name}${part}`, step);
  const layers = [
    { values: read("Owners"), tone: "owners" },
    { values: read("Pool"), tone: "pool" },
  ];
  drawAreas(canvas, layers, read("Total"));
}
