// What only tokens, wallets and royalties need: their calls to the server, their stylesheet.

import { call, id, items } from "./api.js";
import { h } from "./dom.js";

export const mint = (ref, body) => call(`v1/content/${id(ref)}/mint`, { method: "POST", body });
export const token = (number, signal) => call(`v1/tokens/${id(number)}`, { signal });
export const royalties = (signal) => call("v1/royalties", { signal });
export const governance = (signal) => call("v1/governance", { signal });
export const keys = (signal) => call("v1/keys", { signal });
export const wallets = async (user, signal) => items(await call(`v1/users/${id(user)}/wallets`, { signal }));
export const unlinkWallet = (user, address) => call(`v1/users/${id(user)}/wallets/${id(address)}`, { method: "DELETE" });
export const askToSign = (body) => call("v1/wallets/nonce", { method: "POST", body });
export const verifySigned = (body) => call("v1/wallets/verify", { method: "POST", body });
export const walletSession = (signal) => call("v1/wallets/session", { signal });

/** A title's token, or null where it has none. */
export async function tokenOf(ref, signal) {
  const answer = await call(`v1/content/${id(ref)}/token`, { signal, accept: [404] });
  return answer.token_id ? answer : null;
}

const styles = new Map();
/** Brings a stylesheet that only some views need; settles when it is there, or cannot be had. */
export function styled(file) {
  if (!styles.has(file)) {
    const link = h("link", { rel: "stylesheet", href: `/web/${file}` });
    styles.set(file, new Promise((resolve) => (link.addEventListener("load", resolve), link.addEventListener("error", resolve))));
    document.head.append(link);
  }
  return styles.get(file);
}
