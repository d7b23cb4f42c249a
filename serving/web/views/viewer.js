// One viewer: what they watched, what we recommend, and why. Each action refreshes both.

import { Problem, history, isAbort, recommendations, users } from "../api.js";
import { avatar } from "../components/avatar.js";
import { recommendation, scale, watched } from "../components/card.js";
import { empty, failure, skeleton } from "../components/states.js";
import { h, icon, put, say } from "../dom.js";
import { plural, viewerName } from "../format.js";
import { to } from "../router.js";
import { chain, learn, learnReason, setViewer } from "../session.js";

const RAIL = 30;
const SHOWN = 21;
const SOURCES = {
  champion: ["Champion model", "Ranked by the model that won on held-out ratings"],
  content: ["By content", "Close in meaning to what was watched; the model takes over with more history"],
  popular: ["Popular", "What most people watch, until we know more"],
};
const IDEAS = ["a heist that goes wrong", "slow science fiction about memory", "a film for children about friendship", "courtroom drama"];

export const name = ({ user }) => `Recommendations for ${user}`;

export async function show(root, { user }, signal) {
  setViewer(user);
  const summary = h("p", { class: "meta" });
  const rail = h("div", { class: "rail-box" });
  const badge = h("div", { class: "badge-box" });
  const list = h("div", { class: "cards" });
  const heading = h("h2", { id: "next", tabindex: "-1" }, "What to watch next");
  put(
    root,
    h("header", { class: "who" }, avatar(user), h("h1", { class: "ref" }, user), summary),
    h("section", { "aria-labelledby": "lately" }, h("div", { class: "section-head" }, h("h2", { id: "lately" }, "Lately watched"), h("a", { class: "more-link", href: to.history(user) }, "All of it", icon("next"))), rail),
    h("section", { "aria-labelledby": "next" }, h("div", { class: "section-head" }, heading, badge), list),
  );
  put(rail, skeleton("rail", 8));
  put(list, skeleton("cards", 5));

  let before = null;
  const drawHistory = async () => {
    const entries = (await history(user, RAIL, signal)).map(learn);
    put(rail, entries.length ? h("ul", { class: "rail" }, entries.map((entry) => h("li", {}, watched(entry)))) : empty("Nothing watched yet", "Rate a title or two: recommendations begin with the first."));
    return entries;
  };
  const drawNext = async (from) => {
    const answer = await recommendations(user, SHOWN, signal);
    const items = answer.items.map(learn);
    items.forEach((item) => learnReason(user, item));
    const part = scale(items);
    put(badge, source(answer));
    const cards = items.map((item, index) => recommendation(item, { user, part: part(item.score), rank: index + 1, onDone: (one, type) => refresh(one, type, index) }));
    const fresh = before ? items.filter((item) => !before.has(item.content_id)) : [];
    fresh.forEach((item) => cards[items.indexOf(item)].classList.add("fresh"));
    before = new Set(items.map((item) => item.content_id));
    put(list, cards.length ? cards : empty("Nothing to recommend", "Everything we know has been watched or hidden. Add a title to go on."));
    if (from !== undefined) {
      say(fresh.length ? `Recommendations refreshed, ${plural(fresh.length, "new title")}` : "Recommendations refreshed");
      (cards[Math.min(from, cards.length - 1)]?.querySelector(".card-link") ?? heading).focus({ preventScroll: true });
    }
  };
  const refresh = async (item, type, index) => {
    if (signal.aborted) return;
    const gone = [...list.children].find((card) => card.dataset.content === item.content_id);
    gone?.classList.add("leaving");
    list.ariaBusy = "true";
    try {
      await Promise.all([type === "hide" || type === "unhide" ? null : drawHistory(), drawNext(index)]);
    } catch (error) {
      if (!isAbort(error) && !signal.aborted) put(list, failure(error, () => refresh(item, type, index)));
    } finally {
      list.ariaBusy = "false";
    }
  };
  // The dialog of a title can send events too.
  window.addEventListener("nexus:event", ({ detail }) => detail.user === user && refresh(detail.item, detail.type), { signal });

  const [seen, next] = await Promise.allSettled([drawHistory(), drawNext()]);
  if (signal.aborted) return;
  const isUnknown = [seen, next].some((one) => one.reason instanceof Problem && one.reason.status === 404);
  if (isUnknown) return welcome(root, user);
  if (seen.reason) put(rail, failure(seen.reason, () => show(root, { user }, signal)));
  if (next.reason) put(list, failure(next.reason, () => show(root, { user }, signal)));
  await describe(summary, user, signal);
}

function source({ source: kind, model_version: version }) {
  const [label, why] = SOURCES[kind] ?? [kind ?? "", ""];
  const text = [h("span", { class: `dot dot-${kind}`, "aria-hidden": "true" }), label, kind === "champion" && version ? ` ${/^\d/.test(version) ? "v" : ""}${version}` : ""];
  return kind === "champion" ? h("a", { class: "badge", href: "#/model", title: why }, text) : h("span", { class: "badge", title: why }, text);
}

async function describe(summary, user, signal) {
  try {
    const found = (await users({ q: user, limit: 5 }, signal)).find((one) => one.user_id === user || one.external_ids?.some((ref) => ref === user));
    if (!found) return;
    const called = viewerName(found) === user ? "" : `${viewerName(found)}. `;
    const { enabled } = await chain();
    put(summary, `${called}${plural(found.interactions ?? 0, "title")} watched or rated so far. `, enabled ? h("a", { href: to.wallets(user) }, "Wallets") : null);
  } catch {
    // the line is an extra; the page is whole without it
  }
}

function welcome(root, user) {
  put(
    root,
    h("header", { class: "opening" }, h("p", { class: "eyebrow" }, "A new viewer"), h("h1", { class: "ref" }, user), h("p", { class: "lede" }, "Nobody by this id has watched anything yet. Find a title you know and rate it: recommendations start with the first.")),
    h("section", { "aria-labelledby": "ideas" }, h("h2", { id: "ideas" }, "What are you in the mood for?"), h("ul", { class: "chips" }, IDEAS.map((idea) => h("li", {}, h("a", { class: "button", href: to.search(idea) }, idea))))),
  );
}
