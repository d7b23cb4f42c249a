// "Who is watching?": every viewer, and a way in for a new one.

import { isAbort, users } from "../api.js";
import { avatar } from "../components/avatar.js";
import { empty, failure, skeleton } from "../components/states.js";
import { h, icon, put, say } from "../dom.js";
import { plural, viewerName, viewerRef } from "../format.js";
import { to } from "../router.js";
import { viewer } from "../session.js";

const PAGE = 48;
const DELAY_MS = 200;

export const name = () => "Who is watching?";

const person = (user) => {
  const ref = viewerRef(user);
  return h(
    "li",
    {},
    h(
      "a",
      { class: "person", href: to.viewer(ref) },
      avatar(ref),
      h("span", { class: "person-name" }, viewerName(user)),
      h("span", { class: "person-note" }, Number.isFinite(user.interactions) ? plural(user.interactions, "title") : ""),
    ),
  );
};

/** A viewer that nobody has seen yet: the first event makes it. */
const newcomer = () => `web:${crypto.randomUUID().slice(0, 8)}`;

export async function show(root, _params, signal) {
  const list = h("ul", { class: "people" });
  const box = h("div", {}, list);
  const field = h("input", { id: "who", type: "search", placeholder: "movielens:1", autocomplete: "off", spellcheck: "false" });
  const more = h("p", { class: "more" });
  let limit = PAGE;
  let asking = new AbortController();

  const load = async () => {
    asking.abort();
    asking = new AbortController();
    try {
      const q = field.value.trim();
      const found = await users({ limit, q }, AbortSignal.any([signal, asking.signal]));
      put(list, found.map(person));
      put(box, found.length ? list : empty("No viewer by that name", "Ids look like movielens:1. A viewer exists from the first event on."));
      put(more, found.length >= limit ? h("button", { type: "button", class: "button", onclick: () => ((limit *= 4), load()) }, "Show more") : "");
      if (q) say(plural(found.length, "viewer"));
    } catch (error) {
      if (!isAbort(error)) put(box, failure(error, load));
    }
  };
  let typing;
  field.addEventListener("input", () => {
    clearTimeout(typing);
    limit = PAGE;
    typing = setTimeout(load, DELAY_MS);
  });
  const last = viewer();
  put(
    root,
    h("header", { class: "opening" }, h("h1", {}, "Who is watching?"), h("p", { class: "lede" }, "Pick a viewer to see what they watched, what we would put on next, and why.")),
    h(
      "div",
      { class: "tools" },
      h("p", { class: "field" }, h("label", { for: "who" }, "Find a viewer"), field),
      h("p", { class: "tools-more" }, last ? h("a", { class: "button", href: to.viewer(last) }, `Go on as ${last}`) : null, h("a", { class: "button", href: to.viewer(newcomer()) }, icon("plus"), "Someone new")),
    ),
    box,
    more,
  );
  put(box, skeleton("people", 18));
  await load();
}
