// Titles as cards: a recommendation with its reason, and the small tile used in rows and grids.

import { h } from "../dom.js";
import { date, meta, short, title } from "../format.js";
import { to } from "../router.js";
import { actions } from "./actions.js";
import { palette, poster } from "./poster.js";
import { given } from "./rating.js";
import { contributions, reason } from "./reason.js";

/** How far a score lies between the list's worst and best; never empty, so that the last one still shows a bar. */
export function scale(items) {
  const scores = items.map((item) => item.score).filter(Number.isFinite);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  return (score) => (Number.isFinite(score) && high > low ? 0.12 + (0.88 * (score - low)) / (high - low) : 1);
}

const score = (item, part) =>
  Number.isFinite(item.score)
    ? h(
        "div",
        { class: "score", title: "The model's score; the bar compares it within this list" },
        h("span", { class: "bar", "aria-hidden": "true", vars: { "--part": part.toFixed(3) } }),
        h("span", { class: "number" }, `Score ${short(item.score)}`),
      )
    : null;

export function recommendation(item, { user, part, rank, onDone }) {
  const isLead = rank === 1;
  const heading = h("h3", {}, h("a", { class: "card-link", href: to.title(item.content_id) }, title(item.title)));
  return h(
    "article",
    { class: isLead ? "card lead" : "card", "data-content": item.content_id, vars: palette(item) },
    poster(item),
    h(
      "div",
      { class: "card-body" },
      isLead ? h("p", { class: "eyebrow" }, "Our first pick") : null,
      heading,
      h("p", { class: "meta" }, meta(item), item.is_new ? h("span", { class: "flag" }, "New here") : null),
      reason(item),
      isLead ? contributions(item, 3) : null,
      score(item, part),
      actions(item, user, onDone),
    ),
  );
}

/** A poster with a caption; `note` is its second line. Without `isNamed` the name is on the poster only. */
export const tile = (item, note, isNamed = true) =>
  h(
    "a",
    { class: "tile", href: to.title(item.content_id), "data-content": item.content_id },
    poster(item, { small: true }),
    h("span", { class: isNamed ? "tile-name" : "hidden" }, title(item.title)),
    h("span", { class: "tile-note" }, note ?? meta(item, 1)),
  );

const WORDS = { view: "watched", like: "liked", dislike: "disliked", share: "shared", hide: "hidden", unhide: "shown again" };
export const done = (entry) => (entry.type === "rate" && entry.value ? given(entry.value) : (WORDS[entry.type] ?? entry.type ?? ""));
export const watched = (entry) => tile(entry, [done(entry), h("time", { datetime: entry.at ?? "" }, date(entry.at))], false);
