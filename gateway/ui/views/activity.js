// What has happened since this page came: joins, leaves with their reasons, work, reservations, takeovers.

import { h, list, named, setText } from "../dom.js";
import { clock, printable, shortId } from "../format.js";
import { empty, segments } from "../parts.js";
import { address, refine } from "../router.js";

const KINDS = {
  all: () => true,
  devices: ({ kind }) => kind.startsWith("device_") || kind === "policy",
  work: ({ kind }) => kind === "task" || kind === "allocation",
  system: ({ kind }) => ["leader", "gateway", "link"].includes(kind),
};
const REASONS = {
  closed: "it closed its connection",
  cut: "its connection was lost",
  silent: "it fell silent",
};
const SHOWN_LIMIT = 200;

export function activityView(app, route) {
  return new ActivityView(app, route);
}

class ActivityView {
  title = "Activity";

  constructor(app, { params }) {
    this._app = app;
    this._kind = KINDS[params.get("kind")] ? params.get("kind") : "all";
    this._kinds = segments(
      "Show",
      [
        ["all", "All"],
        ["devices", "Devices"],
        ["work", "Work"],
        ["system", "System"],
      ],
      (kind) => this._choose(kind),
    );
    this._kinds.choose(this._kind);
    this._list = h("ol", { class: "events" });
    this._empty = empty(
      "Nothing has happened yet since you opened this page.",
      h("p", {}, "Joins, leaves, tasks and reservations show up here as they happen."),
    );
    this.element = h(
      "section",
      {},
      h("div", { class: "toolbar" }, h("h1", {}, "Activity"), this._kinds.element),
      this._empty,
      this._list,
    );
  }

  update() {
    const events = this._app.state.activity.filter(KINDS[this._kind]).slice(0, SHOWN_LIMIT);
    this._empty.hidden = events.length > 0;
    list(
      this._list,
      events,
      (event) => event.id,
      (event) => makeEvent(event),
      (element, event) => {
        setText(element.querySelector(".event-more"), more(event));
      },
    );
  }

  _choose(kind) {
    this._kind = kind;
    this._kinds.choose(kind);
    refine({ kind: kind === "all" ? "" : kind });
    this.update();
  }
}

function makeEvent(event) {
  const time = h("time", { datetime: new Date(event.atMs).toISOString() }, clock(event.atMs));
  return h(
    "li",
    { class: `event ${event.kind}` },
    time,
    h("i", { class: `mark ${markOf(event)}`, "aria-hidden": "true" }),
    h("p", {}, ...sentence(event), " ", h("span", { class: "event-more hint" })),
  );
}

function markOf({ kind, state }) {
  if (kind === "device_joined" || state === "succeeded" || state === "back" || state === "up") return "good";
  if (kind === "device_left" || ["failed", "expired", "lost", "down", "refused"].includes(state))
    return "bad";
  return "accent";
}

function sentence(event) {
  const device =
    event.deviceId && h("a", { href: address("devices", [event.deviceId]) }, named(printable(event.name)));
  switch (event.kind) {
    case "device_joined":
      return [device, " joined"];
    case "device_left":
      return [named(printable(event.name)), " left"];
    case "task":
      return [
        "Task ",
        h(
          "a",
          { href: address("work", [event.submitterId ?? "", event.taskId ?? ""]) },
          shortId(event.taskId),
        ),
        ` ${event.state ?? "changed"}`,
        ...(device ? [" on ", device] : []),
      ];
    case "allocation":
      return [
        "Reservation ",
        h("span", { class: "mono" }, shortId(event.allocationId)),
        ` ${event.state ?? "changed"}`,
        ...(device ? [" for ", device] : []),
      ];
    case "leader":
      return ["Another scheduler leads now"];
    case "gateway":
      return [
        "Gateway ",
        h("span", { class: "mono" }, shortId(event.gatewayId)),
        event.state === "down" ? " is gone" : " came up",
      ];
    case "link":
      return [event.state === "back" ? "This page is connected again" : "This page lost its connection"];
    default:
      return [device ?? "The pool", ` ${event.kind}`];
  }
}

function more({ reason, state, kind }) {
  if (kind === "policy" && state) return state;
  return reason ? printable(REASONS[reason] ?? reason) : "";
}
