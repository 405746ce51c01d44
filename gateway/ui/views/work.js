// The pool's work: a timeline by device, the tasks with their states, and a way to run one yourself.

import { h, list, named, setAttr, setText, setVar } from "../dom.js";
import { ago, count, printable, shortId, span } from "../format.js";
import { empty, missing, segments, setStateBadge, stateBadge } from "../parts.js";
import { address, refine } from "../router.js";
import { isFinal, taskKey } from "../state.js";
import { runForm } from "./run.js";
import { taskName } from "./running.js";
import { Timeline } from "./timeline.js";

const SHOWN_LIMIT = 200;
const FILTERS = {
  all: () => true,
  open: (task) => !isFinal(task),
  done: (task) => task.state === "succeeded",
  failed: (task) => isFinal(task) && task.state !== "succeeded",
  mine: (task, app) => task.submitterId === app.caller.name,
};
const TITLES = { all: "All", open: "Open", done: "Done", failed: "Failed", mine: "Mine" };

export function workView(app, route) {
  return new WorkView(app, route);
}

class WorkView {
  title = "Work";

  constructor(app, { params }) {
    this._app = app;
    this._filter = FILTERS[params.get("show")] ? params.get("show") : "all";
    this._filters = segments("Show", Object.entries(TITLES), (filter) => this._choose(filter));
    this._filters.choose(this._filter);
    this._summary = h("p", { class: "summary", role: "status" });
    this._missing = h("p", { class: "empty", role: "status", hidden: true });
    this._none = empty(
      "No tasks here.",
      h("p", {}, "Run one: it goes to the device that fits, and its result comes back to this page."),
    );
    this._list = h("ul", { class: "tasks" });
    this._timeline = new Timeline(app);
    this.element = h(
      "section",
      {},
      h("div", { class: "toolbar" }, h("h1", {}, "Work"), this._summary, this._filters.element),
      h(
        "div",
        { class: "columns work" },
        h("div", { class: "stack live-data" }, this._timeline.element, this._missing, this._none, this._list),
        h("div", { class: "stack" }, runForm(app)),
      ),
    );
  }

  update() {
    const { state } = this._app;
    const tasks = [...state.tasks.values()].filter((task) => FILTERS[this._filter](task, this._app));
    tasks.sort((a, b) => b.submittedMs - a.submittedMs || (a.id < b.id ? -1 : 1));
    const words = missing(state.answers.tasks, "a list of tasks");
    this._missing.hidden = !words;
    setText(this._missing, words ?? "");
    this._none.hidden = tasks.length > 0 || Boolean(words);
    setText(this._summary, summary([...state.tasks.values()]));
    list(
      this._list,
      tasks.slice(0, SHOWN_LIMIT),
      taskKey,
      () => taskRow(),
      (row, task) => updateRow(row, task, this._app),
    );
    this._timeline.update();
  }

  _choose(filter) {
    this._filter = filter;
    this._filters.choose(filter);
    refine({ show: filter === "all" ? "" : filter });
    this.update();
  }
}

function summary(tasks) {
  const of = (...states) => tasks.filter((task) => states.includes(task.state)).length;
  return tasks.length
    ? `${count(of("running", "assigned"), "runs", "run")}, ${count(of("queued", "submitted"), "waits", "wait")}`
    : "";
}

function taskRow() {
  const parts = {
    badge: stateBadge("queued"),
    link: h("a", { class: "task-name" }),
    id: h("span", { class: "mono hint optional" }),
    where: h("span", { class: "task-where" }),
    time: h("span", { class: "hint task-time" }),
    bar: h("i", { class: "pool" }),
    why: h("span", { class: "task-why hint" }),
  };
  const element = h(
    "li",
    { class: "task" },
    parts.badge,
    parts.link,
    parts.where,
    parts.time,
    parts.id,
    parts.why,
    h("div", { class: "bar thin", "aria-hidden": "true" }, parts.bar),
  );
  element._parts = parts;
  return element;
}

function updateRow(element, task, app) {
  const { badge, link, id, where, time, bar, why } = element._parts;
  setStateBadge(badge, task.state);
  setText(link, taskName(task));
  setAttr(link, "href", address("work", [task.submitterId, task.id]));
  setText(id, shortId(task.id));
  where.replaceChildren(...whereWords(task, app));
  setText(time, timeWords(task));
  setText(why, whyWords(task));
  bar.parentElement.hidden = task.state !== "running" || task.progress === undefined;
  setVar(bar, "--part", Math.round(100 * (task.progress ?? 0)));
}

function whereWords({ deviceId, submitterId }, { state }) {
  const by = ["by ", named(printable(submitterId))];
  if (!deviceId) return by;
  return ["on ", named(state.devices.get(deviceId)?.name ?? printable(deviceId)), " ", ...by];
}

/** How long a task runs or ran, or since when it waits. */
export function timeWords(task) {
  const began = task.startedMs || task.assignedMs;
  if (isFinal(task) && task.endedMs)
    return `${began ? `${span(task.endedMs - began)}, ` : ""}${ago(Date.now() - task.endedMs)}`;
  if (began) return `for ${span(Date.now() - began)}`;
  return task.submittedMs ? `waits ${span(Date.now() - task.submittedMs)}` : "";
}

/** Why a task waits, or did not do what it should. */
export function whyWords(task) {
  if (task.state === "queued" && task.reason) {
    const { message, queuePosition } = task.reason;
    return printable(message) + (queuePosition ? ` (${count(queuePosition, "task")} before it)` : "");
  }
  if (task.stopping) return `is being stopped: ${printable(task.stopping)}`;
  if (task.result?.success === false) return printable(`${task.result.code}: ${task.result.error}`);
  return "";
}
