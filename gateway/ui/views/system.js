// For operators: gateways and what goes through them, who schedules, what waits, how fast the bus is.

import { h, list, setAttr, setText } from "../dom.js";
import { count, shortId, span } from "../format.js";
import { missing } from "../parts.js";

const COLUMNS = [
  ["Gateway", ({ id }) => shortId(id)],
  ["Up for", ({ vitals }) => vitals && span(vitals.uptimeS * 1000)],
  ["Devices", ({ devices }) => devices],
  ["Observers", ({ vitals }) => vitals?.observers],
  ["Lagging", ({ vitals }) => vitals?.lagging],
  ["In /s", ({ vitals }) => vitals && round(vitals.receivedPerS)],
  ["Out /s", ({ vitals }) => vitals && round(vitals.sentPerS)],
  ["Out KiB/s", ({ vitals }) => vitals && round(vitals.sentKibPerS)],
  ["Bus ms", ({ vitals }) => vitals?.busMs],
  ["Fan-out ms", ({ vitals }) => vitals?.fanoutMs],
  ["Store ms", ({ vitals }) => vitals?.batchMs],
  ["Version", ({ vitals }) => vitals?.version],
];

export function systemView(app) {
  return new SystemView(app);
}

function round(value) {
  return value >= 10 ? Math.round(value).toLocaleString("en") : value;
}

class SystemView {
  title = "System";

  constructor(app) {
    this._app = app;
    this._missing = h("p", { class: "empty", role: "status" });
    this._figures = [
      figure("Gateways"),
      figure("Connections"),
      figure("Messages in"),
      figure("Messages out"),
      figure("Bus latency"),
      figure("Scheduler"),
      figure("Open tasks"),
      figure("Waiting entries"),
    ];
    this._body = h("tbody");
    const table = h(
      "table",
      { class: "table" },
      h("caption", { class: "offscreen" }, "Gateways"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          COLUMNS.map(([title]) => h("th", { scope: "col" }, title)),
        ),
      ),
      this._body,
    );
    this._parts = h(
      "div",
      { class: "stack live-data" },
      h(
        "div",
        { class: "figures" },
        this._figures.map((each) => each.element),
      ),
      h(
        "div",
        { class: "table-frame scrolls", tabindex: "0", role: "region", "aria-label": "Gateways" },
        table,
      ),
    );
    this._record = h("button", { type: "button", class: "button", onclick: () => this._toggle() });
    this._file = h("input", {
      type: "file",
      accept: "application/json",
      class: "offscreen",
      id: "replay-file",
      "aria-label": "Replay a recording",
      onchange: () => this._replay(),
    });
    this.element = h(
      "section",
      {},
      h(
        "div",
        { class: "toolbar" },
        h("h1", {}, "System"),
        h("p", { class: "hint" }, "asked again every ten seconds"),
      ),
      this._missing,
      this._parts,
      h(
        "div",
        { class: "panel" },
        h("h2", {}, "Recordings"),
        h(
          "p",
          { class: "hint" },
          "What this page hears can be recorded, saved, and looked at again later or by somebody else.",
        ),
        h(
          "p",
          { class: "line" },
          this._record,
          h("label", { class: "button", for: "replay-file" }, "Replay a recording"),
          this._file,
        ),
      ),
    );
  }

  update() {
    const answer = this._app.state.answers.system;
    const words = missing(answer, "how the parts of the pool are");
    this._missing.hidden = !words;
    setText(this._missing, words ?? "");
    this._parts.hidden = !answer?.value;
    setText(
      this._record,
      this._app.recorder.log
        ? `Stop and save (${count(this._app.recorder.log.length, "message")})`
        : "Record",
    );
    if (answer?.value) this._show(answer.value);
  }

  _show({ gateways, leader, queue }) {
    const vitals = gateways.map((each) => each.vitals).filter(Boolean);
    const sum = (name) => vitals.reduce((total, each) => total + each[name], 0);
    const buses = vitals.map((each) => each.busMs).filter((value) => value !== null && value !== undefined);
    const bus = buses.length ? `${Math.max(...buses)} ms` : "no events lately";
    const values = [
      gateways.length,
      sum("devices") + sum("observers"),
      `${round(sum("receivedPerS"))} /s`,
      `${round(sum("sentPerS"))} /s`,
      bus,
      leader ? "leads" : "none leads",
      queue.openTasks,
      queue.waiting,
    ];
    values.forEach((value, at) => this._figures[at].update(value));
    setAttr(this._figures[5].element, "class", leader ? "figure" : "figure wrong");
    list(
      this._body,
      gateways,
      ({ id }) => id,
      () =>
        h(
          "tr",
          {},
          COLUMNS.map(() => h("td")),
        ),
      (row, gateway) => {
        COLUMNS.forEach(([, value], at) => setText(row.children[at], value(gateway) ?? "–"));
        setAttr(row, "title", gateway.id);
      },
    );
  }

  _toggle() {
    const { recorder, state } = this._app;
    if (recorder.log) save(recorder.stop());
    else recorder.start(state);
    this.update();
  }

  async _replay() {
    const [file] = this._file.files;
    if (!file) return;
    try {
      this._app.replay(JSON.parse(await file.text()));
    } catch {
      setText(this._missing, "This file is not a recording.");
      this._missing.hidden = false;
    }
  }
}

function figure(title) {
  const value = h("dd");
  const element = h("dl", { class: "figure" }, h("dt", {}, title), value);
  return { element, update: (text) => setText(value, text) };
}

function save(log) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(log)], { type: "application/json" }));
  h("a", {
    href: url,
    download: `pool-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.json`,
  }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
