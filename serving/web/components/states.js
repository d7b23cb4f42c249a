// What stands in for content: loading, nothing there, something went wrong.

import { h, icon } from "../dom.js";

/** Grey shapes of what comes; said once as "Loading". */
export const skeleton = (kind, amount) =>
  h("div", { class: `bones bones-${kind}`, role: "status" }, h("span", { class: "hidden" }, "Loading"), Array.from({ length: amount }, () => h("div", { class: "bone", "aria-hidden": "true" })));

export const empty = (heading, text, ...more) => h("div", { class: "note" }, h("p", { class: "note-head" }, heading), text ? h("p", {}, text) : null, more);

export function failure(problem, retry) {
  return h(
    "div",
    { class: "note note-bad", role: "alert" },
    h("p", { class: "note-head" }, icon("alert"), problem.title ?? problem.message),
    problem.detail && problem.detail !== problem.title ? h("p", {}, problem.detail) : null,
    problem.remedy ? h("p", { class: "remedy" }, problem.remedy) : null,
    retry ? h("p", {}, h("button", { type: "button", class: "button", onclick: retry }, "Try again")) : null,
  );
}
