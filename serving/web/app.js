// The door: draws the frame, follows the address, and keeps an eye on whether the platform answers.

import { isAbort } from "./api.js";
import { watchHealth } from "./components/health.js";
import { h, icon, put, say } from "./dom.js";
import { failure, empty } from "./components/states.js";
import { read, replace, to } from "./router.js";
import { chain, viewer } from "./session.js";

const main = document.getElementById("main");
const find = document.getElementById("find");
const VIEWS = {
  viewers: () => import("./views/viewers.js"),
  viewer: () => import("./views/viewer.js"),
  history: () => import("./views/history.js"),
  search: () => import("./views/search.js"),
  add: () => import("./views/add.js"),
  operation: () => import("./views/operation.js"),
  model: () => import("./views/model.js"),
  wallets: () => import("./views/wallets.js"),
  token: () => import("./views/token.js"),
  ownership: () => import("./views/ownership.js"),
};
const SEARCH_DELAY_MS = 250;
let shown = null;
let leaving = new AbortController();

/** Puts the focus and the tab's name where the person now is. */
function arrive(name, isFirst) {
  document.title = `${name} · NEXUS`;
  if (!isFirst && document.activeElement !== find.q) main.focus({ preventScroll: true });
  say(name);
}

async function follow() {
  const route = read();
  const base = to.base();
  if (base !== shown) {
    const isFirst = shown === null;
    const wasSearch = shown?.startsWith("#/search");
    shown = base;
    leaving.abort();
    leaving = new AbortController();
    const { signal } = leaving;
    markNavigation(route);
    if (!(wasSearch && route.name === "search")) window.scrollTo(0, 0);
    try {
      if (route.name === "lost") {
        arrive("Not found", isFirst);
        put(main, h("h1", {}, "There is no such page"), empty("The address is unknown", "", h("p", {}, h("a", { class: "button", href: "#/" }, "Pick a viewer"))));
      } else {
        const view = await VIEWS[route.name]();
        if (signal.aborted) return;
        arrive(view.name(route.params), isFirst);
        await view.show(main, route.params, signal);
      }
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      if (!error.title) console.error(error);
      put(main, failure(error, () => ((shown = ""), follow())));
    }
  }
  await overlay();
}

/** The dialog's code comes with the first title that is opened. */
let sheet = null;
async function overlay() {
  if (!sheet && !read().title) return;
  sheet ??= await import("./views/title.js");
  sheet.follow(read().title);
}

function markNavigation({ name, params }) {
  for (const link of document.querySelectorAll("[data-nav]")) {
    const isHere = link.dataset.nav === name || (link.dataset.nav === "viewers" && ["viewer", "history", "wallets"].includes(name)) || (link.dataset.nav === "ownership" && name === "token");
    if (isHere) link.setAttribute("aria-current", name === link.dataset.nav ? "page" : "true");
    else link.removeAttribute("aria-current");
  }
  if (name === "search" && document.activeElement !== find.q) find.q.value = params.q ?? "";
  if (name !== "search") find.q.value = "";
}

let typing;
function lookUp() {
  clearTimeout(typing);
  const q = find.q.value.trim();
  const isThere = read().name === "search";
  if (!q) {
    if (isThere) replace(viewer() ? to.viewer(viewer()) : "#/");
  } else if (isThere) replace(to.search(q));
  else location.hash = to.search(q);
}
find.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(lookUp, SEARCH_DELAY_MS);
});
find.addEventListener("submit", (event) => {
  event.preventDefault();
  lookUp();
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, select, dialog");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    find.q.focus();
  }
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", follow);
watchHealth();
chain().then(
  ({ enabled }) => {
    if (!enabled) return;
    document.querySelector(".nav").append(h("a", { href: "#/ownership", "data-nav": "ownership" }, icon("seal"), h("span", {}, "Ownership")));
    markNavigation(read());
  },
  () => null, // the link stays away; the views tell what is wrong
);
follow();
