// A viewer's wallets: connect one of this browser's, prove that it is yours by signing a text, link it or let it go.

import { brief, copyable } from "../components/address.js";
import { empty, failure, skeleton } from "../components/states.js";
import { toast } from "../components/toast.js";
import { h, icon, put, say } from "../dom.js";
import { date } from "../format.js";
import { askToSign, styled, unlinkWallet, verifySigned, wallets, walletSession } from "../owning.js";
import { to } from "../router.js";
import { chain, setViewer } from "../session.js";
import { chainOf, connect, discover, sign, switchTo, watch } from "../wallet.js";

export const name = ({ user }) => `Wallets of ${user}`;

const same = (one, other) => one?.toLowerCase() === other?.toLowerCase();
const isPicture = (icon) => typeof icon === "string" && /^data:image\/(png|svg\+xml|webp|gif|jpeg)[;,]/.test(icon);

export async function show(root, { user }, signal) {
  await styled("ownership.css");
  setViewer(user);
  const list = h("div", {}, skeleton("lines", 2));
  const box = h("div", { class: "connect" }, skeleton("lines", 2));
  const notice = h("div", { "aria-live": "polite" });
  put(
    root,
    h("header", { class: "opening" }, h("a", { class: "back", href: to.viewer(user) }, icon("back"), user), h("h1", {}, "Wallets"), h("p", { class: "lede" }, "A wallet that you link can own the tokens you mint. You prove that it is yours by signing a text; that costs nothing and moves nothing.")),
    h("section", { "aria-labelledby": "linked" }, h("h2", { id: "linked" }, "Linked"), list),
    h("section", { "aria-labelledby": "connect" }, h("h2", { id: "connect" }, "Link another"), notice, box),
  );
  const state = await chain();
  const page = { user, signal, state, list, box, notice };
  await drawLinked(page);
  if (!state.enabled) return put(box, empty("There is no chain here", state.remedy ? `To change that, ${state.remedy}.` : ""));
  await drawProviders(page);
}

/** Runs what a button starts; its refusal is shown above, and the button works again. */
async function during({ notice }, button, work) {
  button.disabled = true;
  put(notice);
  try {
    await work();
  } catch (problem) {
    put(notice, failure(problem));
    notice.scrollIntoView({ block: "nearest" });
  } finally {
    button.disabled = false;
  }
}

async function drawLinked(page) {
  const { user, signal, list } = page;
  let linked;
  try {
    linked = await wallets(user, signal);
  } catch (error) {
    if (error.status !== 404) throw error;
    linked = []; // nobody has heard of this viewer yet
  }
  put(
    list,
    linked.length
      ? h("ul", { class: "wallets" }, linked.map((one) => h("li", {}, copyable(one.address, "address", 8), h("span", { class: "meta" }, `since ${date(one.linked_at)}`), unlinkButton(page, one))))
      : empty("No wallet yet", "Tokens that you mint go to the platform's treasury."),
  );
}

function unlinkButton(page, one) {
  const button = h("button", { type: "button", class: "quiet", "aria-label": `Unlink ${one.address}` }, icon("close"), "Unlink");
  button.addEventListener("click", () =>
    during(page, button, async () => {
      const { address } = await walletSession(page.signal);
      if (!same(address, one.address)) await signInWith(page, one.address);
      await unlinkWallet(page.user, one.address);
      toast(`Unlinked ${brief(one.address)}`);
      await drawLinked(page);
    }),
  );
  return button;
}

/** Proves once more that a wallet is the person's; it has to be the one that is asked for. */
async function signInWith({ state }, wanted) {
  for (const { provider } of await discover()) {
    const { address } = await connect(provider);
    if (same(address, wanted)) return signIn(provider, address, state);
  }
  throw Object.assign(new Error(), { title: "Only the owner of a wallet unlinks it", remedy: `Choose the account ${brief(wanted)} in your wallet, then try again.` });
}

async function signIn(provider, address, state, user) {
  await rightChain(provider, state);
  const asked = await askToSign({ address, ...(user && { user }) });
  return verifySigned({ message: asked.message, signature: await sign(provider, address, asked.message) });
}

async function rightChain(provider, state) {
  const now = await chainOf(provider);
  if (now !== state.chain_id) throw Object.assign(new Error(), { title: `Your wallet is on chain ${now || "?"}, this platform on ${state.chain_id} (${state.chain})`, remedy: "Change the chain, then go on." });
}

async function drawProviders(page) {
  const { box, signal } = page;
  const found = await discover();
  if (signal.aborted) return;
  put(
    box,
    found.length
      ? h("ul", { class: "chips" }, found.map((one) => h("li", {}, providerButton(page, one))))
      : empty("No wallet in this browser", "Install one that announces itself (EIP-6963), then come back.", h("p", {}, h("button", { type: "button", class: "button", onclick: () => drawProviders(page) }, "Look again"))),
  );
}

function providerButton(page, { info, provider }) {
  const label = String(info.name ?? "Wallet").slice(0, 60);
  const button = h("button", { type: "button", class: "button" }, isPicture(info.icon) ? h("span", { class: "wallet-icon", "aria-hidden": "true" }, h("img", { src: info.icon, alt: "" })) : null, `Connect ${label}`);
  button.addEventListener("click", () => during(page, button, () => drawAccount(page, label, provider)));
  return button;
}

/** A connected wallet: its account, whether it is on our chain, and the way to link it. */
async function drawAccount(page, label, provider) {
  const { box, signal, state, user } = page;
  const { address, chainId } = await connect(provider);
  const isHere = chainId === state.chain_id;
  const link = h("button", { type: "button", class: "button primary", disabled: !isHere }, "Sign and link");
  link.addEventListener("click", () =>
    during(page, link, async () => {
      await signIn(provider, address, state, user);
      toast(`Linked ${brief(address)}`);
      say("The wallet is linked");
      await drawLinked(page);
    }),
  );
  const change = h("button", { type: "button", class: "button" }, `Change to ${state.chain}`);
  change.addEventListener("click", () => during(page, change, async () => (await switchTo(provider, state.chain_id), await drawAccount(page, label, provider))));
  put(
    box,
    h("p", { class: "wallet-now" }, `${label}: `, copyable(address, "address", 8)),
    isHere ? null : h("p", { class: "note note-bad", role: "alert" }, `This wallet is on chain ${Number.isFinite(chainId) ? chainId : "?"}. The platform is on chain ${state.chain_id} (${state.chain}).`),
    h("p", { class: "tools-more" }, isHere ? link : change, h("button", { type: "button", class: "button", onclick: () => drawProviders(page) }, "Another wallet")),
  );
  if (!page.watched?.has(provider)) {
    (page.watched ??= new Set()).add(provider);
    watch(provider, () => !signal.aborted && box.querySelector(".wallet-now") && during(page, link, () => drawAccount(page, label, provider)), signal);
  }
}
