// Addresses live in the hash: #/viewer/movielens:1?title=<id>. A `title` opens the dialog over whatever view is below.

const ROUTES = [
  [/^$/, "viewers", []],
  [/^viewer\/([^/]+)$/, "viewer", ["user"]],
  [/^viewer\/([^/]+)\/history$/, "history", ["user"]],
  [/^viewer\/([^/]+)\/wallets$/, "wallets", ["user"]],
  [/^token\/([0-9]+)$/, "token", ["token"]],
  [/^ownership$/, "ownership", []],
  [/^search$/, "search", []],
  [/^add$/, "add", []],
  [/^operation\/([^/]+)$/, "operation", ["operation"]],
  [/^model$/, "model", []],
];

const decode = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** Reads an address; an unknown one has the name "lost". */
export function read(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const params = Object.fromEntries(new URLSearchParams(query));
  const { title = null, ...rest } = params;
  for (const [pattern, name, keys] of ROUTES) {
    const match = pattern.exec(path);
    if (!match) continue;
    keys.forEach((key, index) => (rest[key] = decode(match[index + 1])));
    return { name, params: rest, title, path };
  }
  return { name: "lost", params: rest, title: null, path };
}

const segment = (text) => encodeURIComponent(text).replaceAll("%3A", ":");

export const to = {
  viewer: (user) => `#/viewer/${segment(user)}`,
  history: (user) => `#/viewer/${segment(user)}/history`,
  wallets: (user) => `#/viewer/${segment(user)}/wallets`,
  token: (number) => `#/token/${segment(number)}`,
  operation: (ref) => `#/operation/${segment(ref)}`,
  search: (q) => `#/search?${new URLSearchParams({ q })}`,
  /** The dialog of a title over the present view. */
  title(contentId) {
    const [path, query = ""] = (location.hash || "#/").split(/\?(.*)/s);
    const params = new URLSearchParams(query);
    params.set("title", contentId);
    return `${path}?${params}`;
  },
  /** The present view without a dialog. */
  base() {
    const [path, query = ""] = (location.hash || "#/").split(/\?(.*)/s);
    const params = new URLSearchParams(query);
    params.delete("title");
    return params.size ? `${path}?${params}` : path;
  },
};

/** Changes the address without a new entry in the history. */
export function replace(hash) {
  history.replaceState(null, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
