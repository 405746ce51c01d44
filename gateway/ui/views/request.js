// Try a request: move the sliders and see which devices would serve it, or what is missing; then reserve it.

import { amounts, split } from "../amounts.js";
import { copyButton, h, list, named, setAttr, setText, setVar } from "../dom.js";
import { clock, cores, count, needs, percent, printable, size } from "../format.js";
import { field, segments } from "../parts.js";
import { address, refine } from "../router.js";
import { COPIES } from "./copies.js";
import { reasonParts } from "./reason.js";

const TRY_AFTER_MS = 350;
const TTL_S = 600;
const SLIDERS = [
  ["cpu", "CPU", 50, (value) => `${cores(value)} ${value === 100 ? "core" : "cores"}`],
  ["memory", "Memory", 256, size],
  ["storage", "Storage", 1024, size],
];

export function requestView(app, route) {
  return new RequestView(app, route);
}

class RequestView {
  title = "Try a request";

  constructor(app, { params }) {
    this._app = app;
    const number = (name, otherwise) => Number(params.get(name) ?? otherwise);
    this._wanted = {
      cpu: number("cpu", 100),
      memory: number("memory", 512),
      storage: number("storage", 0),
      gpu: params.get("gpu") === "yes",
    };
    this._devices = number("devices", 0);
    this._spread = params.get("strategy") === "spread";
    this._verdict = h("h2", { class: "verdict" }, "…");
    this._why = h("div", { class: "why" });
    this._shares = h("ul", { class: "shares" });
    this._held = h("div", { class: "held" });
    this._reserve = h(
      "button",
      { type: "button", class: "button primary", disabled: true, onclick: () => this._reserveIt() },
      "Reserve for 10 minutes",
    );
    this._code = h("pre", {
      class: "output",
      tabindex: "0",
      role: "region",
      "aria-label": "The request as code",
    });
    this._copies = segments(
      "Copy as",
      Object.keys(COPIES).map((name) => [name, name]),
      (name) => this._copyAs(name),
    );
    this.element = h(
      "section",
      {},
      h(
        "div",
        { class: "toolbar" },
        h("h1", {}, "Try a request"),
        h("p", { class: "hint" }, "Nothing is reserved until you say so."),
      ),
      h(
        "div",
        { class: "columns request" },
        this._form(),
        h(
          "div",
          { class: "stack live-data" },
          h(
            "div",
            { class: "panel" },
            h("div", { role: "status" }, this._verdict),
            this._why,
            this._shares,
            h("p", { class: "line" }, this._reserve),
            this._held,
          ),
          h(
            "div",
            { class: "panel" },
            h(
              "div",
              { class: "panel-head" },
              h("h2", {}, "Copy as"),
              this._copies.element,
              copyButton(() => this._code.textContent),
            ),
            this._code,
          ),
        ),
      ),
    );
    this._copyAs("curl");
    this._changed();
  }

  update() {
    const rows = [...this._app.state.devices.values()];
    for (const { name, input } of this._sliders)
      setAttr(input, "max", Math.max(Number(input.step), totalOf(rows, name)));
    for (const { name, input, show } of this._sliders)
      if (Number(input.value) !== this._wanted[name] && document.activeElement !== input)
        this._put(input, name, show);
    this._drawShares();
    this._showHeld();
  }

  leave() {
    clearTimeout(this._timer);
    this._asking?.abort();
  }

  _form() {
    this._sliders = SLIDERS.map(([name, title, step, show]) => this._slider(name, title, step, show));
    const gpu = h("input", {
      type: "checkbox",
      checked: this._wanted.gpu,
      onchange: () => this._set({ gpu: gpu.checked }),
    });
    const devices = h("input", {
      type: "number",
      min: 0,
      max: 1000,
      step: 1,
      value: this._devices,
      oninput: () => {
        this._devices = Number(devices.value);
        this._changed();
      },
    });
    const spread = h(
      "select",
      {
        onchange: () => {
          this._spread = spread.value === "spread";
          this._changed();
        },
      },
      h("option", { value: "pack" }, "as few devices as will do"),
      h("option", { value: "spread", selected: this._spread }, "the emptiest devices first"),
    );
    return h(
      "form",
      { class: "panel form", "aria-label": "What is needed", onsubmit: (event) => event.preventDefault() },
      h("h2", {}, "What you need"),
      this._sliders.map((each) => each.element),
      h("label", { class: "check" }, gpu, "a GPU"),
      h(
        "div",
        { class: "pair" },
        field("Devices, each an equal share", devices, "0: as many as needed"),
        field("Placed on", spread),
      ),
    );
  }

  _slider(name, title, step, show) {
    const input = h("input", {
      type: "range",
      min: 0,
      max: Math.max(step, this._wanted[name]),
      step,
      value: this._wanted[name],
      "aria-label": title,
    });
    const value = h("output", {}, show(this._wanted[name]));
    input.addEventListener("input", () => {
      setText(value, show(Number(input.value)));
      setAttr(input, "aria-valuetext", show(Number(input.value)));
      this._set({ [name]: Number(input.value) });
    });
    const slider = { name, input, show, value };
    slider.element = h("label", { class: "slider" }, h("span", {}, title), value, input);
    return slider;
  }

  _put(input, name, show) {
    input.value = this._wanted[name];
    setAttr(input, "aria-valuetext", show(this._wanted[name]));
  }

  _set(change) {
    Object.assign(this._wanted, change);
    this._changed();
  }

  get _requirements() {
    const { gpu, ...rest } = this._wanted;
    const asked = Object.fromEntries(Object.entries(rest).filter(([, value]) => value > 0));
    return {
      ...asked,
      ...(gpu && { gpu }),
      ...(this._devices > 0 && { devices: this._devices }),
      ...(this._spread && { strategy: "spread" }),
    };
  }

  _changed() {
    const { cpu, memory, storage, gpu } = this._wanted;
    refine({
      cpu,
      memory,
      storage,
      gpu: gpu && "yes",
      devices: this._devices,
      strategy: this._spread && "spread",
    });
    this._copyAs(this._copy);
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._try(), TRY_AFTER_MS);
  }

  async _try() {
    this._asking?.abort();
    const asking = (this._asking = new AbortController());
    if (!Object.keys(this._requirements).some((name) => ["cpu", "memory", "storage", "gpu"].includes(name)))
      return this._say("Ask for something.", [], []);
    try {
      const { allocation, reason } = await this._app.caller.tryRequest(this._requirements, asking.signal);
      if (allocation.fulfilled) this._say(fits(allocation.allocatedDevices), [], allocation.allocatedDevices);
      else
        this._say(`Not now: ${needs(this._requirements)}.`, reason ? reasonParts(reason, this._app) : [], []);
    } catch (error) {
      if (asking.signal.aborted) return;
      const words =
        error.status === 404
          ? "This gateway does not offer reservations by REST."
          : error.code === "RATE_LIMITED"
            ? "The gateway takes no more questions for a moment; move a slider again soon."
            : `It cannot be tried now: ${error.message}.`;
      this._say(words, [], []);
    }
  }

  _say(verdict, why, shares) {
    setText(this._verdict, verdict);
    setAttr(this._verdict, "class", `verdict ${shares.length ? "yes" : "no"}`);
    this._why.replaceChildren(...why);
    this._plan = shares;
    this._reserve.disabled = !shares.length;
    this._drawShares();
  }

  /** The chosen devices, each with what it has given already and what it would give now. */
  _drawShares() {
    list(
      this._shares,
      this._plan ?? [],
      ({ deviceId }) => deviceId,
      () => shareRow(),
      (row, share) => updateShare(row, share, this._app.state.devices.get(share.deviceId)),
    );
  }

  _copyAs(name) {
    this._copy = name ?? "curl";
    this._copies.choose(this._copy);
    setText(this._code, COPIES[this._copy](this._app.base, this._requirements));
  }

  async _reserveIt() {
    this._reserve.disabled = true;
    try {
      const { allocation, reason } = await this._app.caller.reserve(this._requirements, TTL_S);
      if (!allocation.fulfilled)
        return this._say("Somebody was faster.", reason ? reasonParts(reason, this._app) : [], []);
      return await this._try();
    } catch (error) {
      return this._say(`It was not reserved: ${error.message}.`, [], []);
    }
  }

  _showHeld() {
    const mine = [...this._app.state.allocations.values()].filter(
      (each) => each.requestingDevice === this._app.caller.name,
    );
    list(
      this._held,
      mine,
      ({ id }) => id,
      (each) => heldRow(each, this._app),
      (row, each) =>
        setText(
          row.querySelector(".hint"),
          each.expiresAt ? `until ${clock(Date.parse(each.expiresAt))}` : "",
        ),
    );
  }
}

function totalOf(rows, name) {
  return rows.reduce((sum, row) => sum + amounts(row)[name].total, 0);
}

function fits(shares) {
  return shares.length === 1
    ? "Yes, one device has it."
    : `Yes, split over ${count(shares.length, "device")}.`;
}

function shareRow() {
  const link = h("a");
  const words = h("span", { class: "hint" });
  const bars = ["cpu", "memory"].map((name) => {
    const tones = ["owners", "pool", "fresh"].map((tone) => h("i", { class: tone }));
    return { name, tones, element: h("div", { class: "bar" }, tones) };
  });
  const element = h(
    "li",
    { class: "share" },
    h("div", {}, link, words),
    bars.map((each) => each.element),
  );
  element._parts = { link, words, bars };
  return element;
}

function updateShare(element, share, row) {
  const { link, words, bars } = element._parts;
  setText(link, row?.name ?? printable(share.deviceName));
  setAttr(link, "href", address("devices", [share.deviceId]));
  setAttr(element, "data-device", share.deviceId);
  setText(
    words,
    needs({
      cpu: share.allocatedCpu,
      memory: share.allocatedMemory,
      storage: share.allocatedStorage,
      gpu: share.allocatedGpu,
    }),
  );
  const parts = row && split(row);
  const fresh = { cpu: share.allocatedCpu, memory: share.allocatedMemory };
  for (const { name, tones } of bars) {
    const { total, owners, pool } = parts?.[name] ?? { total: 0, owners: 0, pool: 0 };
    [owners, pool, fresh[name]].forEach((value, at) =>
      setVar(tones[at], "--part", percent(value, total).toFixed(1)),
    );
  }
}

function heldRow(allocation, app) {
  const release = h("button", { type: "button", class: "button small" }, "Release");
  release.addEventListener("click", async () => {
    release.disabled = true;
    try {
      await app.caller.release(allocation.id);
    } catch (error) {
      release.disabled = false;
      setText(release, `Not released: ${error.message}`);
    }
  });
  const where = (allocation.allocatedDevices ?? []).map(({ deviceName }) => printable(deviceName)).join(", ");
  return h(
    "p",
    { class: "line", "data-allocation": allocation.id },
    h("span", { class: "badge good" }, "reserved"),
    h("span", {}, needs(allocation.requirements), " on ", named(where)),
    h("span", { class: "hint" }),
    release,
  );
}
