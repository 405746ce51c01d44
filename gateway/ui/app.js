// The page's wiring: what comes in goes through the reducer into the state, and the state onto the screen.

import { setAttr } from "./dom.js";
import { forgetTones } from "./chart.js";
import { Painter } from "./painter.js";
import { Rest, Question } from "./rest.js";
import { parse } from "./router.js";
import { createState, reduce } from "./state.js";
import { liveSource, Recorder, replay } from "./source.js";
import { Strip } from "./strip.js";
import { Topbar } from "./topbar.js";
import { handleKeys } from "./keys.js";
import { enterByTicket, holdsTicket } from "./ticket.js";
import { openTokenDialog } from "./token.js";
import { Caller } from "./caller.js";
import { addView } from "./views/add.js";
import { activityView } from "./views/activity.js";
import { deviceView } from "./views/device.js";
import { devicesView } from "./views/devices.js";
import { requestView } from "./views/request.js";
import { systemView } from "./views/system.js";
import { taskView } from "./views/task.js";
import { workView } from "./views/work.js";

const VIEWS = {
  devices: ({ rest }) => (rest.length ? deviceView : devicesView),
  work: ({ rest }) => (rest.length ? taskView : workView),
  request: () => requestView,
  activity: () => activityView,
  system: () => systemView,
  add: () => addView,
};
const TICK_MS = 5_000;
const BASE = new URL("../", location.href.split("#")[0]);

class App {
  /** `refusal` is why the ticket that the address held let nobody in, empty if there was none or it did. */
  constructor(refusal) {
    this.base = BASE;
    this.state = createState();
    this.recorder = new Recorder();
    this.rest = new Rest(
      this.base,
      (message) => this.tell(message),
      () => this.replaying,
    );
    this.questions = {
      system: this._question("system", "api/system", { everyMs: 10_000 }),
      tasks: this._question("tasks", "api/tasks", { everyMs: 20_000 }),
      allocations: this._question("allocations", "api/allocations", { everyMs: 20_000 }),
    };
    this.caller = new Caller(this);
    this._topbar = new Topbar(this);
    this._strip = new Strip(this);
    this.painter = new Painter(() => this._paint());
    if (refusal) this._stayOut(refusal);
    else this._source = liveSource(this);
    this._askOnce("history", "api/history");
    for (const name of ["system", "tasks", "allocations"]) this.questions[name].want();
    setInterval(() => this.tell({ type: "tick" }), TICK_MS);
    setInterval(() => this.painter.changed(), 1_000);
    addEventListener("hashchange", () => (holdsTicket() ? location.reload() : this._show()));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.themeChanged());
    handleKeys(this);
    this._show();
  }

  /** Something happened: the pool said it, this page's link, or an answer by REST. */
  tell(message, atMs = Date.now()) {
    if (message.type === "locked") return this._askToken(message.reason);
    if (!reduce(this.state, message, atMs)) return;
    this.recorder.take(message, atMs);
    if (message.type === "pool_event") this._followUp(message);
    this.painter.changed();
  }

  /** Show a recorded log of messages instead of what happens now. */
  replay(log) {
    this._source?.stop();
    this.state = createState();
    this.replaying = true;
    replay(log, (message, atMs) => reduce(this.state, message, atMs));
    this._show();
  }

  themeChanged() {
    forgetTones();
    this.painter.changed();
  }

  retryNow() {
    this._source?.retryNow();
  }

  /** The ticket was no good: do not connect before a token is entered, even if this tab has one. */
  _stayOut(refusal) {
    this.tell({ type: "link", state: { name: "closed" } });
    this._askToken(refusal);
  }

  /** The pool is not open: ask for a token, and go on with it. */
  _askToken(reason) {
    this._source?.stop(); // who comes without a token too often is not answered for a while
    openTokenDialog(reason, (token) => {
      this.rest.remember(token);
      for (const question of Object.values(this.questions)) question.again();
      this._source = liveSource(this);
    });
  }

  _question(name, path, pace) {
    return new Question(this.rest, (message) => this.replaying || this.tell(message), name, path, pace);
  }

  async _askOnce(name, path) {
    try {
      this.tell({ type: "answer", name, value: await this.rest.call("GET", path) });
    } catch {
      // The question that is asked again and again says what is wrong.
    }
  }

  /** An event tells that something changed; what exactly, the questions find out. */
  _followUp({ kind }) {
    if (kind === "task") this.questions.tasks.nudge();
    if (kind === "allocation") this.questions.allocations.nudge();
    if (kind === "gateway" || kind === "leader") this.questions.system.nudge();
  }

  _show() {
    const route = parse(location.hash);
    const make = (VIEWS[route.view] ?? VIEWS.devices)(route);
    this._view?.leave?.();
    this._view = make(this, route);
    const main = document.getElementById("main");
    main.replaceChildren(this._view.element);
    if (this._shown !== undefined && this._shown !== route.view) main.focus({ preventScroll: true });
    if (this._shown !== location.hash.split("?")[0]) scrollTo(0, 0);
    this._shown = route.view;
    document.title = `${this._view.title} · Resource pool`;
    this._topbar.show(route.view);
    this.painter.now();
  }

  _paint() {
    setAttr(document.documentElement, "data-link", this._topbar.update());
    this._strip.update();
    this._view?.update();
  }
}

globalThis.rpn = new App(await enterByTicket(BASE));
