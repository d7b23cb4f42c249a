// Why a title is recommended: the sentence, its titles as links, and how much each one counted.

import { h } from "../dom.js";
import { short, title } from "../format.js";
import { to } from "../router.js";

const because = (item) => (Array.isArray(item.reason?.because) ? item.reason.because.filter((one) => one?.content_id && one?.title) : []);
const link = (one) => h("a", { href: to.title(one.content_id), "data-because": one.content_id }, title(one.title));

/** The reason with every title it names turned into a link; titles it does not name follow. */
export function reason(item) {
  let parts = [item.reason?.text || "Because it is close to what you watch"];
  const left = [];
  for (const one of because(item).sort((a, b) => b.title.length - a.title.length)) {
    const at = parts.findIndex((part) => typeof part === "string" && part.includes(one.title));
    if (at < 0) {
      left.push(one);
      continue;
    }
    const [before, ...after] = parts[at].split(one.title);
    parts = [...parts.slice(0, at), before, link(one), after.join(one.title), ...parts.slice(at + 1)];
  }
  const also = left.flatMap((one, place) => [place ? ", " : "(also ", link(one)]);
  const rest = left.length ? h("span", { class: "because" }, [...also, ")"]) : null;
  return h("p", { class: "reason" }, parts, rest ? " " : null, rest);
}

/** What each watched title added to the score, as bars; nothing where the model does not say. */
export function contributions(item, limit = 4) {
  const rows = because(item).filter((one) => Number.isFinite(one.contribution)).sort((a, b) => b.contribution - a.contribution).slice(0, limit);
  const most = Math.max(...rows.map((one) => Math.abs(one.contribution)), 0);
  if (!most) return null;
  return h(
    "ul",
    { class: "parts", "aria-label": "What counted" },
    rows.map((one) =>
      h(
        "li",
        {},
        link(one),
        h("span", { class: "bar", "aria-hidden": "true", vars: { "--part": String(Math.max(0, one.contribution) / most) } }),
        h("span", { class: "number" }, `${one.contribution >= 0 ? "+" : "−"}${short(Math.abs(one.contribution))}`),
      ),
    ),
  );
}
