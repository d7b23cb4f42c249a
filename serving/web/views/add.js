// A form for a title that is not here yet; what follows is watched on the operation's page.

import { addContent } from "../api.js";
import { failure } from "../components/states.js";
import { h, put } from "../dom.js";
import { to } from "../router.js";

const KINDS = [
  ["movie", "Film"], ["series", "Series"], ["season", "Season"], ["episode", "Episode"], ["short", "Short film"], ["trailer", "Trailer"],
  ["clip", "Clip"], ["song", "Song"], ["album", "Album"], ["podcast", "Podcast"], ["audiobook", "Audiobook"], ["other", "Something else"],
];

export const name = () => "Add a title";

const slug = (text) => text.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 80);

const field = (id, label, control, hint) => {
  control.id = `add-${id}`;
  control.setAttribute("name", id);
  control.setAttribute("aria-describedby", `add-${id}-hint`);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, h("p", { class: "hint", id: `add-${id}-hint`, "data-hint": hint ?? "" }, hint ?? ""));
};

/** The request's body; what is empty is left out. */
function body(form) {
  const text = (key) => form.elements[key].value.trim();
  const list = text("genres").split(",").map((one) => one.trim()).filter(Boolean);
  return {
    external_id: text("external_id") || `web:${slug(text("title")) || crypto.randomUUID()}${text("year") ? `-${text("year")}` : ""}`,
    title: text("title"),
    content_type: text("content_type"),
    ...(text("year") && { year: Number(text("year")) }),
    ...(text("overview") && { overview: text("overview") }),
    ...(list.length && { genres: list }),
  };
}

/** Shows a refusal beside the field it names, or above the form. */
function blame(form, notice, problem) {
  const key = String(problem.field ?? "").split(".").find((part) => form.elements[part]);
  put(notice, key ? "" : failure(problem));
  if (!key) return notice.scrollIntoView({ block: "nearest" });
  const control = form.elements[key];
  control.setAttribute("aria-invalid", "true");
  form.querySelector(`#add-${key}-hint`).textContent = [problem.detail || problem.title, problem.remedy].filter(Boolean).join(". ");
  control.focus();
}

export async function show(root, _params, signal) {
  const notice = h("div", {});
  const submit = h("button", { type: "submit", class: "button primary" }, "Add it");
  const form = h(
    "form",
    { class: "form" },
    notice,
    field("title", "Title", h("input", { required: true, maxlength: "500", autocomplete: "off" })),
    h(
      "div",
      { class: "pair" },
      field("year", "Year", h("input", { type: "number", min: "1870", max: "2100", inputmode: "numeric", autocomplete: "off" }), "If you know it"),
      field("content_type", "Kind", h("select", {}, KINDS.map(([value, label]) => h("option", { value }, label)))),
    ),
    field("genres", "Genres", h("input", { autocomplete: "off" }), "Separated by commas"),
    field("overview", "What it is about", h("textarea", { rows: "5", maxlength: "10000" }), "One or two sentences: this is what similar titles are found by"),
    field("external_id", "Id", h("input", { autocomplete: "off", spellcheck: "false", placeholder: "imdb:tt0113277" }), "issuer:value; made from the title where left empty"),
    h("p", {}, submit),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    for (const hint of form.querySelectorAll(".hint")) hint.textContent = hint.dataset.hint;
    for (const bad of form.querySelectorAll("[aria-invalid]")) bad.removeAttribute("aria-invalid");
    submit.disabled = true;
    try {
      const answer = await addContent(body(form), signal);
      location.hash = to.operation(answer.operation_id);
    } catch (problem) {
      if (!signal.aborted) blame(form, notice, problem);
    } finally {
      submit.disabled = false;
    }
  });
  put(root, h("header", { class: "opening" }, h("h1", {}, "Add a title"), h("p", { class: "lede" }, "It is read, understood and compared with everything else, and can be recommended a moment later. No retraining.")), form);
  form.elements.title.focus();
}
