// Search by meaning: the words are compared with what each title is about.

import { search } from "../api.js";
import { tile } from "../components/card.js";
import { empty, skeleton } from "../components/states.js";
import { h, put, say } from "../dom.js";
import { plural } from "../format.js";
import { learn } from "../session.js";

const MOST = 24;

export const name = ({ q }) => `Search: ${q ?? ""}`;

export async function show(root, { q = "" }, signal) {
  const heading = h("header", { class: "opening" }, h("h1", {}, "Found by meaning"), h("p", { class: "lede" }, q ? `Titles closest to “${q}”.` : "Type what you are in the mood for."));
  // While typing on, the last results stay until the next ones come: less flicker.
  const old = root.querySelector(".grid-box");
  const box = old ?? h("div", { class: "grid-box" });
  if (!old) put(box, q ? skeleton("grid", 12) : "");
  put(root, heading, box);
  if (!q) return;
  box.ariaBusy = "true";
  const items = (await search(q, MOST, signal)).map(learn);
  box.ariaBusy = "false";
  put(box, items.length ? h("ul", { class: "grid" }, items.map((item) => h("li", {}, tile(item)))) : empty("Nothing comes close", "Try other words, or add the title you miss.", h("p", {}, h("a", { class: "button", href: "#/add" }, "Add a title"))));
  say(plural(items.length, "title"));
}
