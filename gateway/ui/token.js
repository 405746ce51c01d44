// Asks for the token of a pool that is not open to everybody.

import { h } from "./dom.js";
import { openDialog } from "./keys.js";
import { field } from "./parts.js";

/** `reason` is why the token that was shown is no good, empty if there was none; `use` takes the next one. */
export function openTokenDialog(reason, use) {
  if (document.querySelector("dialog")) return;
  const token = h("input", {
    type: "password",
    name: "token",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
  });
  const form = h(
    "form",
    { class: "form", method: "dialog" },
    h(
      "p",
      {},
      "Its owner gives out tokens; one that may observe is enough to look, one that may submit can run tasks.",
    ),
    field("Token", token, "Kept in this tab until you close it."),
    reason && h("p", { class: "wrong", role: "alert" }, reason),
    h("div", {}, h("button", { class: "button primary", type: "submit" }, "Enter")),
  );
  const dialog = openDialog("This pool asks for a token", form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    use(token.value.trim());
    dialog.close();
  });
  token.focus();
}
