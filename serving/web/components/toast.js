// A short message with, at most, one thing to do about it.

import { h } from "../dom.js";

const SHOWN_MS = 8000;

export function toast(text, action) {
  const root = document.getElementById("toasts");
  const box = h("div", { class: action?.isBad ? "toast toast-bad" : "toast" }, h("p", {}, text));
  const close = () => box.remove();
  if (action?.label) box.append(h("button", { type: "button", class: "toast-action", onclick: () => (close(), action.run()) }, action.label));
  root.replaceChildren(box); // one at a time is calm
  let timer = setTimeout(close, SHOWN_MS);
  // Who points at it or has the focus in it is reading.
  for (const name of ["mouseenter", "focusin"]) box.addEventListener(name, () => clearTimeout(timer));
  for (const name of ["mouseleave", "focusout"]) box.addEventListener(name, () => (timer = setTimeout(close, SHOWN_MS)));
}
