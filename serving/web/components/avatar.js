// A viewer's face: a colour and the end of the id.

import { h } from "../dom.js";
import { rich, seed } from "./poster.js";

export const avatar = (ref) => h("span", { class: "face", "aria-hidden": "true", vars: { "--hue": String(rich(seed(ref))) } }, ref.split(":").pop().slice(0, 3));
