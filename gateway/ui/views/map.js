// Many devices as a heat map on one screen: one cell each, in the order of their names, so none ever moves.

import { cleared, tone } from "../chart.js";
import { h, setAttr, setText } from "../dom.js";
import { count, percent, whole } from "../format.js";
import { segments } from "../parts.js";
import { address, parse, refine } from "../router.js";
import { taskName } from "./running.js";

const GAP_PX = 2;
const CELL_MAX_PX = 56;
const CELL_MIN_PX = 9;
const LEVELS = 6;
const MEASURES = {
  cpu: ["CPU", ({ resources: r }) => r.cpuUsage],
  memory: ["Memory", ({ resources: r }) => percent(r.memoryUsage, r.memoryTotal)],
  storage: ["Storage", ({ resources: r }) => percent(r.storageUsage, r.storageTotal)],
  gpu: ["GPU", ({ resources: r }) => (r.hasGPU ? (r.gpuUsage ?? 0) : -1)],
};

export class HeatMap {
  constructor(app) {
    this._app = app;
    this._measure = MEASURES[parse(location.hash).params.get("by")]
      ? parse(location.hash).params.get("by")
      : "cpu";
    this._by = segments(
      "Coloured by",
      Object.entries(MEASURES).map(([key, [title]]) => [key, title]),
      (key) => this._choose(key),
    );
    this._by.choose(this._measure);
    this._canvas = h("canvas", {
      class: "map",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "heat map",
      onpointermove: (event) => this._point(event),
      onpointerleave: () => this._select(-1),
      onclick: (event) => {
        this._point(event);
        this._open();
      },
      onkeydown: (event) => this._key(event),
    });
    this._tip = h("p", { class: "map-tip", role: "status" }, "Point at a cell, or move with the arrow keys.");
    const levels = Array.from({ length: LEVELS }, (_, level) => h("i", { class: `heat-${level}` }));
    const legend = h("p", { class: "map-legend", "aria-hidden": "true" }, "0 %", levels, "100 %");
    this.element = h(
      "div",
      { class: "map-frame" },
      h("div", { class: "map-head" }, this._by.element, legend, this._tip),
      this._canvas,
    );
    this._at = -1;
    this._names = "";
  }

  update(shown, rows) {
    if (!this._cells || this._app.state.rev.members !== this._members) this._arrange(rows);
    this._meant = shown.length === rows.length ? null : new Set(shown);
    setAttr(
      this._canvas,
      "aria-label",
      `Heat map of ${count(rows.length, "device")} by ${MEASURES[this._measure][0]}; arrow keys move, Enter opens`,
    );
    this._draw();
    this._say();
  }

  _arrange(rows) {
    this._members = this._app.state.rev.members;
    const before = this._cells?.[this._at];
    this._cells = [...rows].sort((a, b) =>
      a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1,
    );
    this._at = before ? this._cells.indexOf(before) : -1;
  }

  _layout(width) {
    const room = Math.max(240, innerHeight - this._canvas.getBoundingClientRect().top - scrollY - 40);
    let size = CELL_MAX_PX;
    while (size > CELL_MIN_PX && Math.ceil(this._cells.length / Math.floor(width / size)) * size > room)
      size--;
    this._columns = Math.max(1, Math.floor(width / size));
    this._size = Math.min(CELL_MAX_PX, width / this._columns);
    return Math.ceil(this._cells.length / this._columns) * this._size;
  }

  _draw() {
    const width = this._canvas.parentElement.clientWidth;
    if (!width) return;
    const wanted = `${Math.ceil(this._layout(width))}px`;
    if (this._canvas.style.height !== wanted) this._canvas.style.height = wanted;
    const { context } = cleared(this._canvas);
    const value = MEASURES[this._measure][1];
    const inner = this._size - GAP_PX;
    this._cells.forEach((row, at) => {
      const [x, y] = [(at % this._columns) * this._size, Math.floor(at / this._columns) * this._size];
      const level = !row.reported || !row.isOnline ? -1 : value(row);
      context.globalAlpha = this._meant && !this._meant.has(row) ? 0.15 : 1;
      context.fillStyle =
        level < 0
          ? tone("heat-none")
          : tone(`heat-${Math.min(LEVELS - 1, Math.floor((level * LEVELS) / 100))}`);
      context.fillRect(x, y, inner, inner);
      if (row.tasks.length) this._mark(context, x, y);
    });
    context.globalAlpha = 1;
    if (this._at >= 0) this._outline(context);
  }

  /** A dot: something of the pool runs here. */
  _mark(context, x, y) {
    context.fillStyle = tone("ink");
    context.fillRect(x + 2, y + 2, Math.max(2, this._size / 7), Math.max(2, this._size / 7));
  }

  _outline(context) {
    const [x, y] = [
      (this._at % this._columns) * this._size,
      Math.floor(this._at / this._columns) * this._size,
    ];
    context.strokeStyle = tone("ink");
    context.lineWidth = 2;
    context.strokeRect(x, y, this._size - GAP_PX, this._size - GAP_PX);
  }

  _say() {
    const row = this._cells[this._at];
    if (!row) return;
    const value = MEASURES[this._measure][1](row);
    const state = !row.isOnline ? "connection lost" : value < 0 ? "none" : whole(value);
    const runs = row.tasks.length ? `, runs ${row.tasks.map(taskName).join(", ")}` : "";
    setText(this._tip, `${row.name}: ${MEASURES[this._measure][0]} ${state}${runs}`);
  }

  _choose(key) {
    this._measure = key;
    this._by.choose(key);
    refine({ by: key });
    this._app.painter.now();
  }

  _point({ offsetX, offsetY }) {
    if (!this._columns) return;
    const [column, line] = [Math.floor(offsetX / this._size), Math.floor(offsetY / this._size)];
    this._select(column < this._columns ? line * this._columns + column : -1);
  }

  _select(at) {
    const known = at >= 0 && at < this._cells.length ? at : -1;
    if (known === this._at) return;
    this._at = known;
    this._app.painter.changed();
  }

  _key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this._columns, ArrowDown: this._columns }[
      event.key
    ];
    if (event.key === "Enter") this._open();
    if (step === undefined) return;
    event.preventDefault();
    this._select(Math.max(0, Math.min(this._cells.length - 1, this._at + step)));
  }

  _open() {
    const row = this._cells[this._at];
    if (row) location.hash = address("devices", [row.id]);
  }
}
