// Figures as a table whose cells carry bars: what one sees and what one hears are the same.

import { h } from "../dom.js";
import { figure } from "../format.js";

const bar = (value, most, isOurs) =>
  h(
    "svg",
    { class: isOurs ? "chart-bar ours" : "chart-bar", width: "100%", height: "10", "aria-hidden": "true" },
    h("rect", { class: "track", width: "100%", height: "10", rx: "5" }),
    h("rect", { class: "fill", width: `${most > 0 && Number.isFinite(value) ? Math.max(1.5, (100 * value) / most).toFixed(2) : 0}%`, height: "10", rx: "5" }),
  );

/**
 * @param caption what is compared
 * @param columns names of the figures
 * @param rows [{name, note, isOurs, values: [number per column]}]
 */
export function chart(caption, columns, rows) {
  const most = columns.map((_, at) => Math.max(...rows.map((row) => row.values[at]).filter(Number.isFinite), 0));
  return h(
    "table",
    { class: "chart" },
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, h("td", {}), columns.map((name) => h("th", { scope: "col" }, name)))),
    h(
      "tbody",
      {},
      rows.map((row) =>
        h(
          "tr",
          { class: row.isOurs ? "ours" : null },
          h("th", { scope: "row" }, row.name, row.note ? h("span", { class: "meta" }, row.note) : null),
          row.values.map((value, at) => h("td", {}, h("div", { class: "chart-cell", "data-label": columns[at] }, bar(value, most[at], row.isOurs), h("span", { class: "number" }, figure(value))))),
        ),
      ),
    ),
  );
}
