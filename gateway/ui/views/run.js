// The form that runs a task: what, on which input, and what it needs.

import { h, setText } from "../dom.js";
import { field } from "../parts.js";
import { address } from "../router.js";

const BUILTINS = { echo: '"hello"', primes: '{"n": 100000}', sha256: '"some text"', sleep: '{"seconds": 5}' };

export function runForm(app, spec) {
  const command = h("input", {
    name: "command",
    list: "commands",
    required: true,
    value: spec?.data.command ?? "primes",
    autocomplete: "off",
    spellcheck: "false",
  });
  const input = h("textarea", {
    name: "input",
    rows: 3,
    spellcheck: "false",
    class: "mono",
    value: spec ? JSON.stringify(spec.data.input) : BUILTINS.primes,
  });
  const cpu = h("input", {
    type: "number",
    name: "cpu",
    min: 0.1,
    step: 0.1,
    value: (spec?.requirements.cpu ?? 100) / 100,
  });
  const memory = h("input", {
    type: "number",
    name: "memory",
    min: 0,
    step: 1,
    value: spec?.requirements.memory ?? 64,
  });
  const gpu = h("input", { type: "checkbox", name: "gpu", checked: spec?.requirements.gpu ?? false });
  const button = h("button", { class: "button primary", type: "submit" }, "Run");
  const wrong = h("p", { class: "wrong", role: "alert" });
  const known = h(
    "datalist",
    { id: "commands" },
    Object.keys(BUILTINS).map((name) => h("option", { value: name })),
  );
  command.addEventListener("input", () => {
    const untouched = !input.value || Object.values(BUILTINS).includes(input.value);
    if (BUILTINS[command.value] && untouched) input.value = BUILTINS[command.value];
  });

  const form = h(
    "form",
    { class: "panel form", "aria-label": "Run a task" },
    h("h2", {}, "Run a task"),
    field(
      "Command",
      command,
      "One that every agent has (echo, primes, sha256, sleep), or one that an owner has named.",
    ),
    field("Input", input, "JSON; anything else is taken as text."),
    h("div", { class: "pair" }, field("CPU cores", cpu), field("Memory, MB", memory)),
    h("label", { class: "check" }, gpu, "needs a GPU"),
    known,
    wrong,
    h("div", {}, button),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    setText(wrong, "");
    try {
      const requirements = {
        cpu: Math.round(100 * Number(cpu.value)),
        memory: Number(memory.value),
        gpu: gpu.checked,
      };
      const id = await app.caller.submit(command.value.trim(), parsed(input.value), requirements);
      location.hash = address("work", [app.caller.name, id]);
    } catch (error) {
      setText(wrong, `It was not taken: ${error.message}.`);
    }
    button.disabled = false;
  });
  return form;
}

function parsed(text) {
  if (!text.trim()) return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
