// One token: what it stands for, where it is on the chain, how that is proven, where its metadata lies.

import { content, isAbort } from "../api.js";
import { brief } from "../components/address.js";
import { tile } from "../components/card.js";
import { gateways, proof, tokenFacts } from "../components/proof.js";
import { skeleton } from "../components/states.js";
import { h, put } from "../dom.js";
import { title } from "../format.js";
import { styled, token as ask } from "../owning.js";
import { learn } from "../session.js";

export const name = () => "Token";

export async function show(root, { token: number }, signal) {
  await styled("ownership.css");
  const heading = h("h1", {}, "One title, one token");
  const shown = h("div", { class: "token-tile" });
  put(root, h("header", { class: "opening" }, h("p", { class: "eyebrow" }, `Token ${brief(number, 8)}`), heading), skeleton("lines", 8));
  const found = await ask(number, signal);
  put(
    root,
    root.firstChild,
    h("div", { class: "token" }, h("section", { class: "panel", "aria-label": "On the chain" }, tokenFacts(found)), shown),
    h("section", { "aria-labelledby": "proof" }, h("h2", { id: "proof" }, "Proof"), h("p", { class: "lede" }, "The token's number is the hash of its metadata; the platform signed which title it stands for."), proof(found)),
    h("section", { "aria-labelledby": "gateways" }, h("h2", { id: "gateways" }, "Read the metadata"), gateways(found)),
  );
  try {
    const item = learn(await content(found.content_id, signal));
    heading.textContent = title(item.title);
    put(shown, tile(item));
  } catch (error) {
    if (isAbort(error)) throw error; // the token is whole without its title
  }
}
