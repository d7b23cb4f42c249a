// A token's facts: where it is, how it is proven, where its metadata can be read.

import { h } from "../dom.js";
import { count, when } from "../format.js";
import { to } from "../router.js";
import { copyable, percent } from "./address.js";

const fact = (name, ...value) => (value.some(Boolean) ? [h("dt", {}, name), h("dd", {}, value)] : null);
const isWeb = (url) => /^https?:\/\//.test(url);

export const tokenFacts = (token, { isShort = false } = {}) =>
  h(
    "dl",
    { class: "facts" },
    fact("Token", isShort ? h("a", { href: to.token(token.token_id), class: "code", "aria-label": `Token ${token.token_id}` }, `${token.token_id.slice(0, 12)}…`) : copyable(token.token_id, "token id", 12)),
    fact("Owner", copyable(token.owner, "address")),
    fact("Transaction", copyable(token.tx_hash, "transaction", 10)),
    fact("Block", `${count(token.block_number)} on ${token.chain}`),
    isShort ? null : fact("Contract", copyable(token.contract, "address", 10)),
    isShort ? null : fact("Minted by", copyable(token.creator, "address", 10)),
    isShort ? null : fact("Royalty", Number.isFinite(token.royalty_bps) ? percent(token.royalty_bps) : "the default"),
    fact("Minted", when(token.minted_at)),
  );

/** What the platform signed, and whether it holds. */
export function proof(token) {
  const { proof: signed } = token;
  return [
    h(
      "dl",
      { class: "facts" },
      fact("Metadata", copyable(token.metadata_cid, "CID", 12)),
      signed ? fact("Signature", h("span", { class: signed.is_valid ? "holds" : "broken" }, signed.is_valid ? "Holds" : "Does not hold"), " ", copyable(signed.signature, "signature", 10)) : null,
      signed ? fact("Signed with", `${signed.algorithm} `, copyable(signed.public_key, "public key", 10)) : null,
    ),
    signed
      ? h("details", { class: "manifest" }, h("summary", {}, "The signed manifest"), h("pre", { class: "code", tabindex: "0" }, JSON.stringify(signed.manifest, null, 2)))
      : h("p", { class: "meta" }, "Nothing was signed for this token."),
  ];
}

export const gateways = (token) =>
  token.gateways?.length
    ? h("ul", { class: "links" }, token.gateways.filter(isWeb).map((url) => h("li", {}, h("a", { href: url, rel: "noreferrer noopener", target: "_blank" }, url))))
    : h("p", { class: "meta" }, "No gateway is set; any of IPFS has it under its CID.");
