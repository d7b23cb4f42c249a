// The champion: what it reaches on held-out ratings beside the floors it had to beat, and where it comes from.

import { models } from "../api.js";
import { chart } from "../components/chart.js";
import { empty, skeleton } from "../components/states.js";
import { h, put } from "../dom.js";
import { figure, when } from "../format.js";

const FIGURES = [["NDCG@10", "ndcg10"], ["HR@10", "hr10"]];
const NAMES = { popularity: "Popularity", ease: "EASE", transitions: "Transition counts", transition: "Transition counts" };
const NOTES = { popularity: "what most people watch", ease: "a linear model, in closed form", transitions: "what followed what, lately", transition: "what followed what, lately" };

export const name = () => "The model";

/** "test/ndcg_at_10", "NDCG@10" and "ndcg10" are one figure. */
const plain = (key) => key.toLowerCase().split(/[/.]/).pop().replace("_at_", "").replace(/[^a-z0-9]/g, "");

/** A figure by its name; "test_..." goes before "validation_...". */
function value(metrics, key) {
  const names = Object.keys(metrics ?? {}).filter((one) => plain(one).endsWith(key));
  const best = names.find((one) => plain(one) === key) ?? names.find((one) => one.includes("test")) ?? names[0];
  return best === undefined ? NaN : Number(metrics[best]);
}

const row = (label, metrics, more = {}) => ({ name: label, values: FIGURES.map(([, key]) => value(metrics, key)), ...more });

function floorRows(model) {
  const floors = model.floors ?? {};
  const pairs = Array.isArray(floors) ? floors.map((one) => [one.name, one.metrics ?? one]) : Object.entries(floors);
  return pairs.map(([key, metrics]) => row(NAMES[key] ?? key, metrics, { note: NOTES[key] })).filter((one) => one.values.some(Number.isFinite));
}

const label = (model) => (/^\d/.test(model.version ?? "") ? `v${model.version}` : (model.version ?? "?"));
const fact = (name, text, isCode) => (text ? [h("dt", {}, name), h("dd", { class: isCode ? "code" : null }, text)] : null);

function protocol(model) {
  const text = model.protocol;
  if (!text) return null;
  if (typeof text === "string") return text;
  return Object.entries(text).map(([key, one]) => `${key.replaceAll("_", " ")}: ${typeof one === "object" ? JSON.stringify(one) : one}`).join("; ");
}

function versions(list, current) {
  const table = h(
    "table",
    { class: "table" },
    h("thead", {}, h("tr", {}, ["Version", "Role", ...FIGURES.map(([text]) => text), "Trained"].map((text) => h("th", { scope: "col" }, text)))),
    h(
      "tbody",
      {},
      list.map((model) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, label(model)),
          h("td", {}, (model.aliases ?? []).map((alias) => h("span", { class: alias === "champion" ? "flag flag-best" : "flag" }, alias)), model.version === current && !model.aliases?.includes("champion") ? h("span", { class: "flag" }, "serving") : null),
          FIGURES.map(([, key]) => h("td", { class: "number" }, figure(value(model.metrics, key)))),
          h("td", {}, when(model.created_at)),
        ),
      ),
    ),
  );
  return h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "All versions" }, table);
}

export async function show(root, _params, signal) {
  const heading = h("header", { class: "opening" }, h("p", { class: "eyebrow" }, "The model"), h("h1", {}, "Is it any good?"));
  const body = h("div", {}, skeleton("lines", 6));
  put(root, heading, body);
  const answer = await models(signal);
  const list = Array.isArray(answer.models) ? answer.models : [];
  const champion = list.find((model) => model.version === answer.current) ?? list.find((model) => model.aliases?.includes("champion"));
  if (!champion) return put(body, empty("No champion yet", "Until one is trained and passes the gate, recommendations come from content and popularity.", h("p", { class: "remedy" }, "bin/nexus pipeline run trains one.")));
  const floors = floorRows(champion);
  const ours = row(`Champion ${label(champion)}`, champion.metrics, { isOurs: true, note: "what is served now" });
  heading.append(h("p", { class: "lede" }, verdict(ours, floors)));
  put(
    body,
    h("section", { class: "panel", "aria-label": "Figures" }, chart("On held-out ratings; more is better", FIGURES.map(([text]) => text), [ours, ...floors])),
    h(
      "dl",
      { class: "facts" },
      fact("Version", label(champion)),
      fact("Trained", when(champion.created_at)),
      fact("Data", champion.data_hash, true),
      fact("Protocol", protocol(champion)),
    ),
    h("h2", {}, "All versions"),
    versions(list, answer.current),
  );
}

function verdict(ours, floors) {
  const best = floors.filter((one) => Number.isFinite(one.values[0])).sort((a, b) => b.values[0] - a.values[0])[0];
  if (!best || !Number.isFinite(ours.values[0])) return "How well it finds the next title that a viewer really watched.";
  const gain = 100 * (ours.values[0] / best.values[0] - 1);
  return `It finds the next title ${Math.abs(gain).toFixed(0)} % ${gain >= 0 ? "better" : "worse"} than the best simple method, ${best.name}.`;
}
