// What this tab remembers: the viewer it looks at, and what is known of each title (lists carry more or less of it).

import { web3 } from "./api.js";

const KEY = "nexus.viewer";
const titles = new Map();
const reasons = new Map();

export function viewer() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage may be forbidden; the page works without
  }
}

export function setViewer(ref) {
  try {
    localStorage.setItem(KEY, ref);
  } catch {
    // see viewer()
  }
  window.dispatchEvent(new CustomEvent("nexus:viewer", { detail: ref }));
}

/** Joins what an answer says of a title with what earlier answers said. */
export function learn(item) {
  const known = { ...titles.get(item.content_id) };
  for (const key of ["content_id", "title", "year", "genres", "external_ids"]) if (item[key] !== undefined && item[key] !== null) known[key] = item[key];
  titles.set(item.content_id, known);
  return { ...known, ...Object.fromEntries(Object.entries(item).filter(([, value]) => value !== null && value !== undefined)) };
}

export const known = (contentId) => titles.get(contentId);

export function learnReason(user, item) {
  reasons.set(`${user} ${item.content_id}`, item);
}
export const reasonFor = (user, contentId) => reasons.get(`${user} ${contentId}`);

let asked = null;
/** Whether titles can be minted here, and on which chain; asked once. */
export function chain() {
  asked ??= web3().catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}
