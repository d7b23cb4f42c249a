// A title's token within its dialog: the token there is, or the way to one.

import { isAbort } from "../api.js";
import { h, put } from "../dom.js";
import { title } from "../format.js";
import { mint, styled, tokenOf, wallets } from "../owning.js";
import { to } from "../router.js";
import { chain } from "../session.js";
import { brief, percent } from "./address.js";
import { tokenFacts } from "./proof.js";
import { failure, skeleton } from "./states.js";

const MOST_PERCENT = 100;

/** Draws itself; it never keeps the rest of the dialog waiting. */
export function ownership(item, user, signal) {
  const box = h("section", { class: "ownership", "aria-labelledby": "ownership-head" }, h("h3", { id: "ownership-head" }, "Ownership"));
  const body = h("div", {}, skeleton("lines", 1));
  box.append(body);
  fill(body, item, user, signal);
  return box;
}

async function fill(body, item, user, signal) {
  try {
    const [state] = await Promise.all([chain(), styled("ownership.css")]);
    if (!state.enabled) return void put(body, h("p", { class: "meta" }, "Titles are not minted here. ", state.remedy ? `To change that, ${state.remedy}.` : null));
    const token = await tokenOf(item.content_id, signal);
    if (token) return void put(body, tokenFacts(token, { isShort: true }), h("p", {}, h("a", { class: "button", href: to.token(token.token_id) }, "Proof and gateways")));
    const own = user ? await wallets(user, signal).catch((error) => (isAbort(error) ? Promise.reject(error) : [])) : [];
    put(body, form(item, user, own, state));
  } catch (error) {
    if (!isAbort(error) && !signal.aborted) put(body, failure(error, () => fill(body, item, user, signal)));
  }
}

function form(item, user, own, state) {
  const receiver = h("select", { id: "mint-to", name: "to" }, h("option", { value: "" }, "The platform's treasury"), own.map((one, at) => h("option", { value: one.address, selected: at === 0 }, `${brief(one.address)}, your wallet`)));
  const royalty = h("input", { id: "mint-royalty", name: "royalty", type: "number", min: "0", max: String(MOST_PERCENT), step: "0.01", inputmode: "decimal", placeholder: String(state.royalty_bps / 100) });
  const submit = h("button", { type: "submit", class: "button primary", "aria-label": `Mint ${title(item.title)}` }, "Mint");
  const notice = h("div", {});
  const made = h(
    "form",
    { class: "mint" },
    h("p", { class: "meta" }, `One token on ${state.chain} that stands for this title, for good. Without a royalty of its own it has the default, ${percent(state.royalty_bps)}.`),
    notice,
    h("p", { class: "field" }, h("label", { for: "mint-to" }, "To"), receiver),
    h("p", { class: "field" }, h("label", { for: "mint-royalty" }, "Royalty in %"), royalty),
    h("p", { class: "mint-end" }, submit, user && !own.length ? h("a", { class: "more-link", href: to.wallets(user) }, "Link a wallet") : null),
  );
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    put(notice);
    const wanted = { ...(receiver.value && { to: receiver.value }), ...(royalty.value && { royalty_bps: Math.round(Number(royalty.value) * 100) }) };
    try {
      location.hash = to.operation((await mint(item.content_id, wanted)).operation_id);
    } catch (problem) {
      put(notice, failure(problem));
    } finally {
      submit.disabled = false;
    }
  });
  return made;
}
