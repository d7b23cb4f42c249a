// Five stars to press. One tab stop: arrows move, Enter or Space rates.

import { h, icon } from "../dom.js";
import { stars, title } from "../format.js";

export function rating(item, onRate) {
  const group = h("div", { class: "rating", role: "group", "aria-label": `Rate ${title(item.title)}` });
  const buttons = [1, 2, 3, 4, 5].map((value) =>
    h(
      "button",
      { type: "button", "aria-label": stars(value), title: stars(value), tabindex: value === 1 ? "0" : "-1", "data-value": value, onclick: () => onRate(value) },
      icon("star"),
    ),
  );
  const focus = (index) => {
    buttons.forEach((button, at) => button.setAttribute("tabindex", at === index ? "0" : "-1"));
    buttons[index].focus();
  };
  group.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement);
    const moves = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: 4 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    focus(Math.min(4, Math.max(0, moves[event.key])));
  });
  group.append(...buttons);
  return group;
}

/** A rating given, to read. */
export const given = (value) =>
  h("span", { class: "given" }, icon("star"), h("span", { class: "hidden" }, "rated "), String(value), h("span", { class: "hidden" }, " of 5"));
