// The person's wallets in this browser: found by EIP-6963, asked by EIP-1193. No key is ever seen here.

import { Problem } from "./api.js";

const WAIT_MS = 250;
const REFUSED = 4001;
const PENDING = -32002;
const UNKNOWN_CHAIN = 4902;
const found = new Map();

window.addEventListener("eip6963:announceProvider", ({ detail }) => {
  if (typeof detail?.provider?.request === "function" && typeof detail.info?.uuid === "string") found.set(detail.info.uuid, detail);
});

/** The wallets that announce themselves: [{info: {name, icon}, provider}]; an older one that does not is taken too. */
export async function discover() {
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  if (!found.size) await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  const all = [...found.values()];
  if (!all.length && typeof window.ethereum?.request === "function") all.push({ info: { uuid: "legacy", name: "Browser wallet" }, provider: window.ethereum });
  return all;
}

/** A wallet's refusal in words of ours; what it says itself is shown as text, cut short. */
function refusal(error, wish) {
  const said = typeof error?.message === "string" ? error.message.slice(0, 200) : "";
  if (error?.code === REFUSED) return new Problem({ title: "You declined in the wallet", remedy: `Nothing happened. Press again to ${wish}.` });
  if (error?.code === PENDING) return new Problem({ title: "The wallet is still waiting for you", remedy: "Open it and answer what it asks." });
  return new Problem({ title: `The wallet could not ${wish}`, detail: said, remedy: "Look into the wallet, then try again." });
}

async function ask(provider, method, params, wish) {
  try {
    return await provider.request({ method, params });
  } catch (error) {
    throw error instanceof Problem ? error : refusal(error, wish);
  }
}

const number = (hex) => (/^0x[0-9a-f]{1,13}$/i.test(hex) ? Number.parseInt(hex, 16) : NaN);

/** Asks for accounts; {address, chainId}. */
export async function connect(provider) {
  const accounts = await ask(provider, "eth_requestAccounts", [], "connect");
  const address = Array.isArray(accounts) ? accounts[0] : null;
  if (!/^0x[0-9a-f]{40}$/i.test(address ?? "")) throw new Problem({ title: "The wallet shows no account", remedy: "Unlock it, choose an account, then try again." });
  return { address, chainId: await chainOf(provider) };
}

export const chainOf = async (provider) => number(await ask(provider, "eth_chainId", [], "say its chain"));

/** Asks the wallet to go to a chain; one that it does not know is for the person to add. */
export async function switchTo(provider, chainId) {
  try {
    await provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId: `0x${chainId.toString(16)}` }] });
  } catch (error) {
    if (error?.code === UNKNOWN_CHAIN) throw new Problem({ title: `The wallet does not know chain ${chainId}`, remedy: "Add it in the wallet (bin/nexus status shows the address of its RPC), then try again." });
    throw refusal(error, "change the chain");
  }
}

/** Signs a text (EIP-191). It goes over as the hexadecimal of its UTF-8, as wallets want it. */
export async function sign(provider, address, text) {
  const hex = Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return ask(provider, "personal_sign", [`0x${hex}`, address], "sign");
}

/** Calls back when the person changes account or chain in the wallet, until the signal. */
export function watch(provider, onChange, signal) {
  if (typeof provider.on !== "function") return;
  for (const event of ["accountsChanged", "chainChanged"]) {
    provider.on(event, onChange);
    signal.addEventListener("abort", () => provider.removeListener?.(event, onChange), { once: true });
  }
}
