// Devices as a table that can be sorted; of many, only the rows on the screen exist.

import { amounts } from "../amounts.js";
import { h, named, setAttr, setText, setVar } from "../dom.js";
import { ago, cores, percent, printable, size, whole } from "../format.js";
import { address, parse, refine } from "../router.js";
import { taskName } from "./running.js";

const ROW_PX = 41;
const SPARE_ROWS = 8;
const COLUMNS = [
  { key: "name", title: "Device", value: (row) => row.name.toLowerCase(), first: "asc" },
  { key: "platform", title: "Platform", value: (row) => row.platform, first: "asc", optional: true },
  {
    key: "cpu",
    title: "CPU",
    value: (row) => row.resources.cpuUsage,
    part: ({ resources: r }) => [r.cpuUsage, `${whole(r.cpuUsage)} of ${cores(r.cpuCores * 100)}`],
  },
  {
    key: "memory",
    title: "Memory",
    value: (row) => percent(row.resources.memoryUsage, row.resources.memoryTotal),
    part: (row) => share(row, "memory"),
  },
  {
    key: "storage",
    title: "Storage",
    value: (row) => percent(row.resources.storageUsage, row.resources.storageTotal),
    part: (row) => share(row, "storage"),
    optional: true,
  },
  {
    key: "gpu",
    title: "GPU",
    value: (row) => (row.resources.hasGPU ? 1 + (row.resources.gpuUsage ?? 0) : 0),
    optional: true,
  },
  { key: "tasks", title: "Runs", value: (row) => row.tasks.length },
  { key: "seen", title: "Heard", value: (row) => row.seenMs, optional: true },
];

function share(row, name) {
  const { total, used } = amounts(row)[name];
  return [percent(used, total), `${whole(percent(used, total))} of ${size(total)}`];
}

export class Table {
  constructor(app) {
    this._app = app;
    const { params } = parse(location.hash);
    [this._by, this._order] = (params.get("sort") ?? "name-asc").split("-");
    this._heads = COLUMNS.map((column) => this._head(column));
    this._above = spacer();
    this._below = spacer();
    this._body = h("tbody", {}, this._above, this._below);
    this._rows = [];
    this._table = h(
      "table",
      { class: "table devices-table" },
      h("caption", { class: "offscreen" }, "Devices"),
      h("thead", {}, h("tr", {}, this._heads)),
      this._body,
    );
    this.element = h("div", { class: "table-frame" }, this._table);
    this._onScroll = () => this._place();
    addEventListener("scroll", this._onScroll, { passive: true });
    this._markSorted();
  }

  update(rows) {
    const column = COLUMNS.find(({ key }) => key === this._by) ?? COLUMNS[0];
    const sign = this._order === "desc" ? -1 : 1;
    const keyed = rows.map((row) => [column.value(row), row]);
    keyed.sort(([a, one], [b, other]) => (a < b ? -sign : a > b ? sign : one.id < other.id ? -1 : 1));
    this._sorted = keyed.map(([, row]) => row);
    setAttr(this._table, "aria-rowcount", rows.length + 1);
    this._place();
  }

  leave() {
    removeEventListener("scroll", this._onScroll);
  }

  /** Fill the rows that are on the screen. */
  _place() {
    if (!this._sorted) return;
    const top = this._body.getBoundingClientRect().top;
    const first = Math.max(0, Math.min(this._sorted.length - 1, Math.floor(-top / ROW_PX) - SPARE_ROWS));
    const shown = Math.min(this._sorted.length - first, Math.ceil(innerHeight / ROW_PX) + 2 * SPARE_ROWS);
    while (this._rows.length < shown) this._add();
    this._rows.forEach((each, at) => {
      each.element.hidden = at >= shown;
      if (at < shown) each.update(this._sorted[first + at], first + at);
    });
    setVar(this._above.firstChild, "--height", `${first * ROW_PX}px`);
    setVar(this._below.firstChild, "--height", `${(this._sorted.length - first - shown) * ROW_PX}px`);
  }

  _add() {
    const row = tableRow();
    this._rows.push(row);
    this._body.insertBefore(row.element, this._below);
  }

  _head({ key, title, optional }) {
    const button = h("button", { type: "button", class: "sort", onclick: () => this._sort(key) }, title);
    return h("th", { scope: "col", "data-key": key, class: optional ? "optional" : "" }, button);
  }

  _sort(key) {
    const first = COLUMNS.find((column) => column.key === key).first ?? "desc";
    const other = first === "asc" ? "desc" : "asc";
    this._order = this._by === key && this._order === first ? other : first;
    this._by = key;
    refine({ sort: `${key}-${this._order}` });
    this._markSorted();
    this._app.painter.now();
  }

  _markSorted() {
    for (const head of this._heads) {
      const words = this._order === "asc" ? "ascending" : "descending";
      setAttr(head, "aria-sort", head.dataset.key === this._by ? words : null);
    }
  }
}

function spacer() {
  return h("tr", { class: "spacer", "aria-hidden": "true" }, h("td", { colspan: COLUMNS.length }));
}

function tableRow() {
  const name = named("", {});
  const link = h("a", { class: "row-name" }, name);
  const cells = Object.fromEntries(COLUMNS.map(({ key, part, optional }) => [key, cell(part, optional)]));
  cells.name.element.replaceChildren(link);
  const element = h(
    "tr",
    {},
    COLUMNS.map(({ key }) => cells[key].element),
  );
  const update = (row, at) => {
    setAttr(element, "aria-rowindex", at + 2);
    setAttr(element, "data-device", row.id);
    setText(name, row.name);
    setAttr(link, "title", row.name);
    setAttr(link, "href", address("devices", [row.id]));
    setAttr(element, "class", row.isOnline ? "" : "lost");
    setText(cells.platform.element, row.platform);
    setText(cells.gpu.element, row.resources.hasGPU ? printable(row.resources.gpuName ?? "yes") : "");
    setText(cells.tasks.element, row.tasks.map(taskName).join(", "));
    setText(cells.seen.element, ago(Date.now() - row.seenMs));
    for (const { key, part } of COLUMNS) if (part) cells[key].update(part(row), row.reported);
  };
  return { element, update };
}

function cell(part, optional) {
  const element = h("td", { class: optional ? "optional" : "" });
  if (!part) return { element };
  const fill = h("i", { class: "owners" });
  const text = h("span", { class: "cell-text" });
  element.append(text, h("div", { class: "bar thin", "aria-hidden": "true" }, fill));
  const update = ([value, words], reported) => {
    setText(text, reported ? words : "–");
    setVar(fill, "--part", Math.round(value));
  };
  return { element, update };
}
