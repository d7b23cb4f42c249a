// A poster drawn from what is known of a title: its genre gives the hue, its id the composition, its name the type.

import { h } from "../dom.js";
import { genres, title, year } from "../format.js";

const HUES = {
  action: 28, adventure: 60, animation: 170, children: 185, comedy: 48, crime: 8, documentary: 155, drama: 255, family: 185,
  fantasy: 300, "film-noir": 270, horror: 20, imax: 220, music: 330, musical: 335, mystery: 285, romance: 358, "sci-fi": 215,
  "science fiction": 215, thriller: 195, war: 140, western: 55,
};
// The more telling genre wins: "Horror" says more than "Drama".
const TELLING = ["horror", "animation", "children", "sci-fi", "science fiction", "western", "war", "musical", "documentary", "film-noir", "fantasy", "romance", "crime", "mystery", "comedy", "thriller", "adventure", "action", "drama"];
// Yellow and lime turn muddy when dark.
const RICH = [4, 18, 32, 52, 150, 168, 186, 204, 222, 244, 262, 284, 306, 328, 346];
const COMPOSITIONS = 7;

/** FNV-1a: a small, steady number from any text. */
export function seed(text) {
  let hash = 2166136261;
  for (const character of String(text)) hash = Math.imul(hash ^ character.codePointAt(0), 16777619) >>> 0;
  return (hash ^ (hash >>> 15)) >>> 0;
}

export const rich = (number) => RICH[number % RICH.length];

function hue(item, number) {
  const names = genres(item).map((name) => name.toLowerCase());
  const found = TELLING.find((name) => names.includes(name)) ?? names.find((name) => name in HUES);
  return found === undefined ? rich(number) : (HUES[found] + (number % 19) - 9 + 360) % 360;
}

/** Type size in hundredths of the poster's width, so that the longest word always fits. */
function size(text) {
  const longest = Math.max(...text.split(/[\s-]+/).map((word) => word.length));
  const byWord = 168 / Math.max(longest, 4);
  const byLength = text.length > 48 ? 10 : text.length > 30 ? 12.5 : text.length > 18 ? 15.5 : 21;
  return Math.max(7.5, Math.min(byWord, byLength));
}

const hues = new Map();

/** The hue of a title; it stays as first seen, though a later answer may know more of the title. */
export function palette(item) {
  const key = item.content_id ?? item.title;
  if (!hues.has(key)) hues.set(key, hue(item, seed(key)));
  return { "--hue": String(hues.get(key)) };
}

/** A decorative picture: the title is said beside it, so it is hidden from assistive technology. */
export function poster(item, { small = false } = {}) {
  const number = seed(item.content_id ?? item.title);
  const name = title(item.title);
  const vars = {
    ...palette(item),
    "--x": `${20 + ((number >>> 5) % 60)}%`,
    "--y": `${18 + ((number >>> 11) % 30)}%`,
    "--turn": `${(number >>> 7) % 180}deg`,
    "--type": size(name).toFixed(1),
  };
  return h(
    "div",
    { class: small ? "poster poster-small" : "poster", "data-art": (number >>> 3) % COMPOSITIONS, vars, "aria-hidden": "true" },
    h("span", { class: "poster-art" }),
    h("span", { class: "poster-text" }, year(item) ? h("span", { class: "poster-year" }, year(item)) : null, h("span", { class: "poster-name" }, name)),
  );
}
