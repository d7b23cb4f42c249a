// A title in a dialog over the present view: what it is, what to do with it, why it was recommended, what is like it.

import { content, isAbort, similar } from "../api.js";
import { actions } from "../components/actions.js";
import { tile } from "../components/card.js";
import { ownership } from "../components/ownership.js";
import { palette, poster } from "../components/poster.js";
import { contributions, reason } from "../components/reason.js";
import { failure, skeleton } from "../components/states.js";
import { h, icon, put } from "../dom.js";
import { count, genres, meta, refs, title } from "../format.js";
import { replace, to } from "../router.js";
import { known, learn, reasonFor, viewer } from "../session.js";

const ALIKE = 8;
const sheet = document.getElementById("sheet");
let leaving = new AbortController();
let open = null;

sheet.addEventListener("close", () => {
  if (open !== null) replace(to.base());
});
// A press on the backdrop closes; one inside does not.
sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());

/** Opens, changes or closes the dialog as the address says. */
export function follow(contentId) {
  if (contentId === open) return;
  leaving.abort();
  open = contentId;
  if (contentId === null) return void (sheet.open && sheet.close());
  leaving = new AbortController();
  draw(contentId, leaving.signal);
}

const fact = (label, value) => (value ? [h("dt", {}, label), h("dd", {}, value)] : null);

function facts(item) {
  const number = (value) => (Number.isFinite(value) ? count(value) : null);
  return h(
    "dl",
    { class: "facts" },
    fact("Genres", genres(item).join(", ")),
    fact("Type", item.content_type),
    fact("Ratings and views", number(item.interactions)),
    fact("Mean rating", Number.isFinite(item.mean_value) ? `${item.mean_value.toFixed(1)} of 5` : null),
    fact("Ids", refs(item).join(", ")),
  );
}

async function draw(contentId, signal) {
  const user = viewer();
  const close = h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => sheet.close() }, icon("close"));
  const top = h("div", { class: "sheet-top" });
  const more = h("div", { class: "sheet-more" });
  put(sheet, h("div", { class: "sheet-bar" }, close), top, more);
  if (!sheet.open) sheet.showModal();
  close.focus({ focusVisible: false });
  sheet.scrollTop = 0;
  const head = (item) => {
    const why = user ? reasonFor(user, contentId) : null;
    top.style.setProperty("--hue", palette(item)["--hue"]);
    put(
      top,
      poster(item),
      h(
        "div",
        { class: "sheet-text" },
        h("h2", { id: "sheet-title" }, title(item.title)),
        h("p", { class: "meta" }, meta(item)),
        item.overview ? h("p", { class: "overview" }, item.overview) : null,
        why ? [reason(why), contributions(why)] : null,
        user ? [h("p", { class: "as" }, "As ", h("a", { href: to.viewer(user) }, user)), actions(item, user, (one, type) => window.dispatchEvent(new CustomEvent("nexus:event", { detail: { user, item: one, type } })))] : null,
      ),
    );
  };
  if (known(contentId)) head(known(contentId));
  else put(top, skeleton("lines", 3));
  put(more, h("h3", {}, "Like this one"), skeleton("rail", 6));
  try {
    const item = learn(await content(contentId, signal));
    head(item);
    const alike = h("div", {}, skeleton("rail", 6));
    put(more, facts(item), ownership(item, user, signal), h("h3", {}, "Like this one"), alike);
    const items = (await similar(contentId, ALIKE, signal)).map(learn);
    put(alike, items.length ? h("ul", { class: "grid grid-small" }, items.map((one) => h("li", {}, tile(one)))) : h("p", { class: "meta" }, "Nothing comes close yet."));
  } catch (error) {
    if (!isAbort(error) && !signal.aborted) put(more, failure(error, () => draw(contentId, signal)));
  }
}
