// What a viewer can do with a title: rate it, say it was watched, say it is not for them.

import { sendEvent } from "../api.js";
import { h, icon } from "../dom.js";
import { stars, title } from "../format.js";
import { rating } from "./rating.js";
import { toast } from "./toast.js";

/**
 * @param item the title
 * @param user the viewer's id
 * @param onDone called with (item, type) once the server has accepted the event
 */
export function actions(item, user, onDone) {
  const name = title(item.title);
  const row = h("div", { class: "actions" });
  const send = async (type, value, said) => {
    if (row.ariaBusy === "true") return;
    row.ariaBusy = "true"; // not `inert`: that would take the focus away from who uses the keyboard
    try {
      await sendEvent({ type, user, content: item.content_id, value });
      toast(said, type === "hide" ? { label: "Undo", run: () => undo() } : undefined);
      onDone(item, type);
    } catch (problem) {
      toast([problem.title ?? problem.message, problem.detail, problem.remedy].filter(Boolean).join(". "), { isBad: true });
    } finally {
      row.ariaBusy = "false";
    }
  };
  const undo = () => send("unhide", undefined, `${name} may be recommended again`);
  const button = (type, label, symbol, said) =>
    h("button", { type: "button", class: "quiet", "aria-label": `${label}: ${name}`, onclick: () => send(type, undefined, said) }, icon(symbol), label);
  row.append(
    rating(item, (value) => send("rate", value, `Rated ${name} ${stars(value)}`)),
    h("div", { class: "quiets" }, button("view", "Watched", "eye", `Noted: you watched ${name}`), button("hide", "Not for me", "hide", `${name} will not be recommended`)),
  );
  return row;
}
