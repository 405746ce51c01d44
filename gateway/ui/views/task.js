// One task: where it is and why, what it prints, its result; cancel it, run it again.

import { copyButton, h, named, setAttr, setText, setVar } from "../dom.js";
import { clock, needs, printable, shortId } from "../format.js";
import { empty, setStateBadge, stateBadge } from "../parts.js";
import { address } from "../router.js";
import { isFinal } from "../state.js";
import { reasonParts } from "./reason.js";
import { runForm } from "./run.js";
import { taskName } from "./running.js";
import { timeWords, whyWords } from "./work.js";

export function taskView(app, route) {
  return new TaskView(app, route);
}

class TaskView {
  constructor(app, { rest: [submitterId, id = ""] }) {
    Object.assign(this, { _app: app, _submitterId: submitterId, _id: id, title: `Task ${shortId(id)}` });
    this._wrong = h("p", { class: "wrong", role: "alert" });
    this._build();
    this._stop = new AbortController();
    this._follow();
  }

  leave() {
    this._stop.abort();
  }

  update() {
    const task = this._app.state.tasks.get(`${this._submitterId}/${this._id}`);
    this._body.hidden = !task;
    this._waiting.hidden = Boolean(task) || Boolean(this._wrong.textContent);
    if (task) this._show(task);
  }

  _build() {
    this._badge = stateBadge("submitted");
    this._name = h("h1");
    this._time = h("span", { class: "hint" });
    this._bar = h("i", { class: "pool" });
    this._progress = h(
      "div",
      {
        class: "bar",
        role: "progressbar",
        "aria-label": "Progress",
        "aria-valuemin": 0,
        "aria-valuemax": 100,
        hidden: true,
      },
      this._bar,
    );
    this._why = h("div", { class: "why" });
    this._result = h("pre", {
      class: "output",
      id: "task-result",
      tabindex: "0",
      role: "region",
      "aria-label": "Result",
    });
    this._log = h("pre", {
      class: "output",
      id: "task-log",
      tabindex: "0",
      role: "region",
      "aria-label": "What it printed",
    });
    this._facts = h("dl", { class: "pairs" });
    this._cancel = h(
      "button",
      { type: "button", class: "button", onclick: () => this._cancelIt() },
      "Cancel",
    );
    const spec = this._app.caller.spec(this._id);
    this._again = spec
      ? h("details", { class: "panel plain" }, h("summary", {}, "Run it again"), runForm(this._app, spec))
      : h(
          "p",
          { class: "hint" },
          "Only the page that submitted a task knows its input and can run it again.",
        );
    this._resultPart = h(
      "div",
      { class: "panel" },
      h(
        "div",
        { class: "panel-head" },
        h("h2", {}, "Result"),
        copyButton(() => this._result.textContent),
      ),
      this._result,
    );
    this._logPart = h("div", { class: "panel" }, h("h2", {}, "What it printed, the end of it"), this._log);
    this._body = h(
      "div",
      { class: "stack" },
      h("div", { class: "title-line" }, this._badge, this._name, this._time, this._cancel),
      this._progress,
      this._why,
      h(
        "div",
        { class: "columns" },
        h("div", { class: "stack" }, this._resultPart, this._logPart),
        h(
          "div",
          { class: "stack" },
          h("div", { class: "panel" }, h("h2", {}, "About"), this._facts),
          this._again,
        ),
      ),
    );
    this._waiting = empty("Asking for this task.");
    this.element = h(
      "section",
      {},
      h("a", { class: "back", href: address("work") }, "← All work"),
      this._wrong,
      this._waiting,
      this._body,
    );
  }

  _show(task) {
    setStateBadge(this._badge, task.state);
    setText(this._name, taskName(this._withSpec(task)));
    setText(this._time, timeWords(task));
    this._cancel.hidden = isFinal(task);
    this._progress.hidden = task.progress === undefined || isFinal(task);
    setVar(this._bar, "--part", Math.round(100 * (task.progress ?? 0)));
    setAttr(this._progress, "aria-valuenow", Math.round(100 * (task.progress ?? 0)));
    this._showWhy(task);
    this._resultPart.hidden = task.result === undefined;
    if (task.result !== undefined) setText(this._result, resultText(task.result));
    this._logPart.hidden = !task.log;
    setText(this._log, logText(task.log ?? ""));
    this._showFacts(task);
  }

  _withSpec(task) {
    return { ...task, data: task.data ?? this._app.caller.spec(task.id)?.data };
  }

  _showWhy(task) {
    const words = JSON.stringify([task.state, task.reason, task.stopping]);
    if (this._said === words) return;
    this._said = words;
    const waits = !isFinal(task) && task.reason;
    const more = isFinal(task) ? "" : whyWords(task);
    this._why.replaceChildren(
      ...(waits ? reasonParts(task.reason, this._app) : more ? [h("p", {}, more)] : []),
    );
  }

  _showFacts(task) {
    const device = this._app.state.devices.get(task.deviceId);
    const facts = [
      ["Needs", needs(task.requirements)],
      ["Submitted by", printable(task.submitterId)],
      ["Submitted", task.submittedMs && clock(task.submittedMs)],
      ["Device", task.deviceId && (device?.name ?? `${shortId(task.deviceId)}, gone`)],
      ["Started", task.startedMs && clock(task.startedMs)],
      ["Ended", task.endedMs && clock(task.endedMs)],
      ["Attempts", task.attempts],
      ["Priority", task.priority],
      ["Id", printable(task.id)],
    ].filter(([, value]) => value);
    const words = JSON.stringify(facts);
    if (this._facts._said === words) return;
    this._facts._said = words;
    this._facts.replaceChildren(
      ...facts.flatMap(([name, value]) => [
        h("dt", {}, name),
        h("dd", {}, named(String(value), { class: "breaks" })),
      ]),
    );
  }

  async _follow() {
    const isOver = (told) => isFinal(told);
    while (!this._stop.signal.aborted) {
      try {
        return await this._app.caller.follow(this._submitterId, this._id, this._stop.signal, isOver);
      } catch (error) {
        if (this._stop.signal.aborted) return;
        setText(
          this._wrong,
          error.status === 404
            ? `There is no such task: ${error.message}.`
            : `Not known now: ${error.message}.`,
        );
        if (error.status === 404) return;
        await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs || 3_000));
        setText(this._wrong, "");
      }
    }
  }

  async _cancelIt() {
    this._cancel.disabled = true;
    try {
      await this._app.caller.cancel({ id: this._id, submitterId: this._submitterId });
    } catch (error) {
      setText(this._wrong, `It was not cancelled: ${error.message}.`);
    }
    this._cancel.disabled = false;
  }
}

function resultText(result) {
  if (result?.success === false) return `${result.code}: ${result.error}`;
  const value = result?.result;
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** A log as text, without what would steer a terminal. */
function logText(log) {
  return log
    .replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "")
    .split("\n")
    .map(printable)
    .join("\n");
}
