// Everything a viewer did, newest first, as a table.

import { history } from "../api.js";
import { done } from "../components/card.js";
import { empty, skeleton } from "../components/states.js";
import { h, icon, put } from "../dom.js";
import { date, meta, plural, title } from "../format.js";
import { to } from "../router.js";
import { learn, setViewer } from "../session.js";

const MOST = 1000;

export const name = ({ user }) => `What ${user} watched`;

export async function show(root, { user }, signal) {
  setViewer(user);
  const body = h("div", {}, skeleton("lines", 8));
  const lede = h("p", { class: "lede" });
  put(root, h("header", { class: "opening" }, h("a", { class: "back", href: to.viewer(user) }, icon("back"), user), h("h1", {}, "What they watched"), lede), body);
  const entries = (await history(user, MOST, signal)).map(learn);
  if (!entries.length) return put(body, empty("Nothing yet", "What this viewer watches and rates will be listed here."));
  const rated = entries.filter((entry) => entry.type === "rate" && Number.isFinite(entry.value));
  const mean = rated.reduce((sum, entry) => sum + entry.value, 0) / rated.length;
  put(lede, `${plural(entries.length, "entry").replace("entrys", "entries")}${rated.length ? `, ${mean.toFixed(1)} stars on average` : ""}.`);
  put(
    body,
    h(
      "table",
      { class: "table" },
      h("thead", {}, h("tr", {}, ["Title", "What", "When"].map((text) => h("th", { scope: "col" }, text)))),
      h(
        "tbody",
        {},
        entries.map((entry) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, h("a", { href: to.title(entry.content_id) }, title(entry.title)), h("span", { class: "meta" }, meta(entry))),
            h("td", {}, done(entry)),
            h("td", {}, h("time", { datetime: entry.at ?? "" }, date(entry.at))),
          ),
        ),
      ),
    ),
  );
}
