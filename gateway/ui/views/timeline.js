// The last ten minutes of work, a row for each device that had some, a bar for each task.

import { cleared, tone } from "../chart.js";
import { h, setAttr, setText } from "../dom.js";
import { count, span } from "../format.js";
import { address } from "../router.js";
import { isFinal } from "../state.js";
import { taskName } from "./running.js";

const SPAN_MS = 600_000;
const ROW_PX = 24;
const HEAD_PX = 22;
const ROWS_LIMIT = 16;
const WAITING = "\u0000waiting";
const TONES = {
  running: "accent",
  assigned: "accent",
  succeeded: "good",
  failed: "bad",
  expired: "bad",
  cancelled: "owners",
  queued: "line-strong",
};

export class Timeline {
  constructor(app) {
    this._app = app;
    this._canvas = h("canvas", {
      class: "timeline",
      role: "img",
      onpointermove: (event) => this._point(event),
      onclick: () => this._open(),
    });
    this._tip = h("p", { class: "hint", role: "status" });
    this.element = h(
      "figure",
      { class: "panel" },
      h("figcaption", { class: "panel-head" }, h("h2", {}, "The last 10 minutes"), this._tip),
      this._canvas,
    );
    this._bars = [];
  }

  update() {
    const nowMs = Date.now();
    const rows = this._rows(nowMs);
    this.element.hidden = !rows.length;
    if (!rows.length) return;
    const shown = rows.slice(0, ROWS_LIMIT);
    const height = `${HEAD_PX + shown.length * ROW_PX}px`;
    if (this._canvas.style.height !== height) this._canvas.style.height = height;
    setAttr(
      this._canvas,
      "aria-label",
      `Timeline of ${count(rows.length, "device")}; the tasks are listed below`,
    );
    this._draw(shown, nowMs);
    setText(
      this._tip,
      this._words ?? (rows.length > shown.length ? `${rows.length - shown.length} more devices` : ""),
    );
  }

  /** `[name, tasks]` of each device that worked, those that wait first, then the busiest. */
  _rows(nowMs) {
    const rows = new Map();
    for (const task of this._app.state.tasks.values()) {
      if ((task.endedMs || nowMs) < nowMs - SPAN_MS) continue;
      const key = task.deviceId ?? (isFinal(task) ? undefined : WAITING);
      if (key === undefined) continue;
      if (!rows.has(key)) rows.set(key, []);
      rows.get(key).push(task);
    }
    return [...rows].sort(([a], [b]) => (a === WAITING ? -1 : b === WAITING ? 1 : a < b ? -1 : 1));
  }

  _draw(rows, nowMs) {
    const { context, width } = cleared(this._canvas);
    const left = Math.min(150, width * 0.28);
    const x = (ms) => left + ((ms - (nowMs - SPAN_MS)) / SPAN_MS) * (width - left);
    this._bars = [];
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = "middle";
    this._drawScale(context, x, nowMs, HEAD_PX + rows.length * ROW_PX);
    rows.forEach(([key, tasks], at) => {
      const y = HEAD_PX + at * ROW_PX;
      context.fillStyle = tone("muted");
      context.fillText(fitted(context, this._name(key), left - 10), 0, y + ROW_PX / 2);
      for (const task of tasks) this._drawTask(context, task, x, y, { left, width, nowMs });
    });
  }

  _drawScale(context, x, nowMs, height) {
    for (const minutes of [10, 5, 0]) {
      const at = x(nowMs - minutes * 60_000);
      context.fillStyle = tone("line");
      context.fillRect(Math.min(at, this._canvas.clientWidth - 1), HEAD_PX, 1, height - HEAD_PX);
      context.fillStyle = tone("muted");
      context.textAlign = minutes === 10 ? "left" : minutes ? "center" : "right";
      context.fillText(minutes ? `−${minutes} min` : "now", at, HEAD_PX / 2);
    }
    context.textAlign = "left";
  }

  _drawTask(context, task, x, y, { left, width, nowMs }) {
    const from = Math.max(left, x(task.startedMs || task.assignedMs || task.submittedMs));
    const to = Math.min(width, Math.max(from + 3, x(task.endedMs || nowMs)));
    context.fillStyle = tone(TONES[task.state] ?? "muted");
    context.beginPath();
    context.roundRect(from, y + 4, to - from, ROW_PX - 8, 3);
    context.fill();
    this._bars.push({ task, from, to: Math.max(to, from + 6), y });
  }

  _name(key) {
    return key === WAITING ? "waiting" : (this._app.state.devices.get(key)?.name ?? "left the pool");
  }

  _point({ offsetX, offsetY }) {
    this._bar = this._bars.find(
      ({ from, to, y }) => offsetX >= from && offsetX <= to && offsetY >= y && offsetY < y + ROW_PX,
    );
    const task = this._bar?.task;
    const began = task && (task.startedMs || task.assignedMs || task.submittedMs);
    this._words = task
      ? `${taskName(task)}: ${task.state}, ${span((task.endedMs || Date.now()) - began)}`
      : undefined;
    this._canvas.style.cursor = task ? "pointer" : "";
    setText(this._tip, this._words ?? "");
  }

  _open() {
    if (this._bar) location.hash = address("work", [this._bar.task.submitterId, this._bar.task.id]);
  }
}

/** The text, shortened to what fits. */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let length = Math.min(text.length, 40);
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length--;
  return `${text.slice(0, length)}…`;
}
