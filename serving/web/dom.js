// Building the page. Data reaches the document as text nodes and checked attributes only: there is no innerHTML here.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "use", "rect", "line", "title"]);

/** Makes an element. `vars` sets CSS custom properties, `on*` adds listeners, null and false leave an attribute out. */
export function h(tag, props = {}, ...children) {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "vars") {
      for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    } else if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A decorative icon of the sprite. */
export const icon = (name) =>
  h("svg", { class: `icon icon-${name}`, viewBox: "0 0 24 24", "aria-hidden": "true" }, h("use", { href: `/web/icons.svg#${name}` }));

export const put = (root, ...children) => root.replaceChildren(...children.flat(Infinity).filter(Boolean));

/** Says something to people who listen to the page instead of looking at it. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
