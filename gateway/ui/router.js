// Every view has an address: `#/devices/ID?as=table&q=gpu` is the view, its path and its choices.

export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", ...rest] = path.split("/").map(decode);
  return { view: view || "devices", rest, params: new URLSearchParams(query) };
}

/** The address of a view; parameters that are empty are left out. */
export function address(view, rest = [], params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value)).toString();
  return `#/${[view, ...rest].map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** Change parameters of the present address without a new step in the history. */
export function refine(changes) {
  const { view, rest, params } = parse(location.hash);
  for (const [name, value] of Object.entries(changes)) value ? params.set(name, value) : params.delete(name);
  history.replaceState(null, "", address(view, rest, Object.fromEntries(params)));
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
