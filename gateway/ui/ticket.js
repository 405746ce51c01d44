// Lets in who comes by an address with a ticket in it, such as `rpn up` prints: `#ticket=rpn.ticket.…`.

import { Rest } from "./rest.js";

const TOKEN = { kind: "admin", name: "browser", expiresInS: 12 * 3_600 };

/** Whether the address holds a ticket. */
export function holdsTicket() {
  return fragment().has("ticket");
}

/** Exchange the address's ticket, if it holds one, for a token of this tab's own; why not, or empty. */
export async function enterByTicket(base) {
  const ticket = takeTicket();
  if (!ticket) return "";
  const rest = new Rest(base, () => {});
  rest.token = ticket;
  try {
    rest.remember((await rest.call("POST", "api/tokens", TOKEN)).token);
    return "";
  } catch (error) {
    return whyNot(error);
  }
}

/** The address holds it no longer when this returns: nor does the history of this tab. */
function takeTicket() {
  if (!holdsTicket()) return "";
  const ticket = fragment().get("ticket");
  history.replaceState(null, "", location.pathname + location.search);
  return ticket;
}

function fragment() {
  return new URLSearchParams(location.hash.slice(1));
}

function whyNot({ status, message }) {
  if (status === 404) return ""; // a pool that is open has no tokens, and needs none
  return status === 401 ? "The ticket in this address is used up, or its time is over." : message;
}
