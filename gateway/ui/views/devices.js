// All devices: as cards when they are few, as a table, or as a heat map when they are many.

import { h, setText } from "../dom.js";
import { count } from "../format.js";
import { empty, segments } from "../parts.js";
import { address, refine } from "../router.js";
import { Cards } from "./cards.js";
import { HeatMap } from "./map.js";
import { Table } from "./table.js";

const KINDS = { cards: Cards, table: Table, map: HeatMap };
const CARDS_UP_TO = 36;
const TABLE_UP_TO = 250;
const HYSTERESIS = 1.2;
/** a crowd that goes up and down around a limit does not change the view each time */

export function devicesView(app, route) {
  return new DevicesView(app, route);
}

class DevicesView {
  title = "Devices";

  constructor(app, { params }) {
    this._app = app;
    this._chosen = params.get("as") ?? "";
    this._query = params.get("q") ?? "";
    this._search = h("input", {
      type: "search",
      id: "search",
      placeholder: "Search: name, platform, gpu, busy, task",
      "aria-label": "Search devices",
      value: this._query,
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this._searched(this._search.value),
      onkeydown: (event) => event.key === "Escape" && this._search.blur(),
    });
    this._as = segments(
      "Show as",
      [
        ["cards", "Cards"],
        ["table", "Table"],
        ["map", "Map"],
      ],
      (kind) => this._choose(kind),
    );
    this._summary = h("p", { class: "summary", role: "status" });
    this._body = h("div", { class: "live-data" });
    this.element = h(
      "section",
      { "aria-label": "Devices" },
      h("h1", { class: "offscreen" }, "Devices"),
      h(
        "div",
        { class: "toolbar" },
        h("div", { class: "search" }, this._search, h("kbd", { "aria-hidden": "true" }, "/")),
        this._summary,
        this._as.element,
      ),
      this._body,
    );
  }

  update() {
    const { state } = this._app;
    const rows = [...state.devices.values()];
    const shown = this._query ? rows.filter(matcher(this._query)) : rows;
    this._say(rows.length, shown.length);
    if (!rows.length) return this._showEmpty(state.listed);
    this._shape(this._kind(rows.length)).update(shown, rows);
  }

  leave() {
    this._shown?.leave?.();
  }

  _say(all, shown) {
    const words =
      shown === all ? count(all, "device") : `${shown.toLocaleString("en")} of ${count(all, "device")}`;
    setText(this._summary, this._app.state.listed ? words : "");
  }

  _kind(number) {
    if (KINDS[this._chosen]) return this._chosen;
    const [cards, table] = [CARDS_UP_TO, TABLE_UP_TO].map((limit, at) =>
      this._grown > at ? limit : limit * HYSTERESIS,
    );
    this._grown = number <= cards ? 0 : number <= table ? 1 : 2;
    return ["cards", "table", "map"][this._grown];
  }

  _shape(kind) {
    if (this._shown?.kind !== kind) {
      this._shown?.leave?.();
      this._shown = new KINDS[kind](this._app);
      this._shown.kind = kind;
      this._body.replaceChildren(this._shown.element);
      this._as.choose(kind);
    }
    return this._shown;
  }

  _showEmpty(listed) {
    this._shown?.leave?.();
    this._shown = undefined;
    const add = h("a", { class: "button primary", href: address("add") }, "Add a device");
    const place = listed
      ? empty(
          "No device is in this pool yet.",
          h("p", {}, "It takes one command on the machine you want to add."),
          add,
        )
      : empty("Connecting to the pool.");
    if (this._body.textContent !== place.textContent) this._body.replaceChildren(place);
  }

  _choose(kind) {
    this._chosen = kind;
    refine({ as: kind });
    this.update();
  }

  _searched(query) {
    this._query = query.trim();
    refine({ q: this._query });
    this.update();
  }
}

/** Whether a device is meant by the words of a search; every word must fit. */
export function matcher(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return (row) => words.every((word) => SPECIAL[word]?.(row) || textOf(row).includes(word));
}

const SPECIAL = {
  gpu: (row) => row.resources.hasGPU,
  busy: (row) => row.resources.cpuUsage >= 50,
  idle: (row) => row.resources.cpuUsage < 10,
  task: (row) => row.tasks.length > 0,
  lost: (row) => !row.isOnline,
};

function textOf(row) {
  return `${row.name} ${row.platform} ${row.id} ${row.ipAddress} ${row.resources.gpuName ?? ""}`.toLowerCase();
}
