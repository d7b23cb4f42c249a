// Who gets royalties, what members decide, and which keys mint: read from the chain through the API.

import { isAbort } from "../api.js";
import { coins, copyable, percent } from "../components/address.js";
import { empty, failure, skeleton } from "../components/states.js";
import { h, put } from "../dom.js";
import { plural, when } from "../format.js";
import { governance, keys, royalties, styled } from "../owning.js";
import { chain } from "../session.js";

export const name = () => "Ownership";

const STATES = { pending: "Not open yet", active: "Open", canceled: "Withdrawn", defeated: "Rejected", succeeded: "Passed", queued: "Waits for its delay", expired: "Expired", executed: "Done" };
const fact = (label, ...value) => (value.some((one) => one !== null && one !== undefined && one !== "") ? [h("dt", {}, label), h("dd", {}, value)] : null);
const seconds = (number) => (number >= 172800 ? plural(Math.round(number / 86400), "day") : number >= 7200 ? plural(Math.round(number / 3600), "hour") : number >= 120 ? plural(Math.round(number / 60), "minute") : plural(number, "second"));

const words = (text) => text.replaceAll(/[_-]+/g, " ").replace(/^./, (first) => first.toUpperCase());

function table(label, heads, rows) {
  const made = h("table", { class: "table" }, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows));
  return h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": label }, made);
}

function drawRoyalties(answer) {
  if (!answer.contract) return empty("Nothing is deployed yet", "The contracts come with the first start; see bin/nexus status.");
  const rows = answer.payees.map((one) => h("tr", {}, h("th", { scope: "row" }, copyable(one.address, "address", 8)), h("td", { class: "number" }, one.shares), h("td", { class: "number" }, coins(one.releasable_wei, answer.coin)), h("td", { class: "number" }, coins(one.released_wei, answer.coin))));
  return [
    h("dl", { class: "facts" }, fact("Default royalty", Number.isFinite(answer.royalty_bps) ? `${percent(answer.royalty_bps)} of a sale` : null), fact("Goes to", answer.receiver ? copyable(answer.receiver, "address", 8) : null), fact("Tokens", copyable(answer.contract, "address", 8))),
    rows.length ? table("Who shares in royalties", ["Payee", "Shares", "Due", "Paid"], rows) : h("p", { class: "meta" }, "Nobody shares in royalties yet."),
  ];
}

const proposal = (one) =>
  h(
    "li",
    { class: "proposal" },
    h("p", { class: "proposal-head" }, h("span", { class: one.state === "active" ? "flag flag-best" : "flag" }, STATES[one.state] ?? one.state), one.description || "Without words"),
    h("p", { class: "meta" }, `For ${one.votes_for}, against ${one.votes_against}, abstained ${one.votes_abstained}. Voting until ${when(new Date(one.deadline_s * 1000).toISOString())}.`),
  );

function drawGovernance(answer) {
  if (!answer.governor) return empty("There is no members' organisation yet", "Its contracts come with the first start; see bin/nexus status.");
  const { rules } = answer;
  const parameters = Object.entries(answer.parameters);
  return [
    h(
      "dl",
      { class: "facts" },
      fact("Members", Number.isFinite(answer.members) ? String(answer.members) : null),
      fact("Treasury", coins(answer.treasury_wei, answer.coin)),
      rules ? fact("A vote", `opens after ${seconds(rules.voting_delay_s)}, lasts ${seconds(rules.voting_period_s)}, needs ${rules.quorum_percent} %`) : null,
      rules && Number.isFinite(rules.execution_delay_s) ? fact("What was decided", `is done after ${seconds(rules.execution_delay_s)}`) : null,
      fact("Governor", copyable(answer.governor, "address", 8)),
      parameters.map(([key, value]) => fact(words(key), value)),
    ),
    h("h3", {}, "Proposals"),
    answer.proposals.length ? h("ul", { class: "proposals" }, answer.proposals.map(proposal)) : h("p", { class: "meta" }, "Nobody has proposed anything yet."),
  ];
}

function drawKeys(answer, coin) {
  const rows = answer.signers.map((one) => h("tr", {}, h("th", { scope: "row" }, copyable(one.address, "address", 8)), h("td", {}, one.role), h("td", {}, h("span", { class: one.state === "active" ? "flag flag-best" : "flag" }, one.state)), h("td", { class: "number" }, one.needs_wei ? `waits for ${coins(one.needs_wei, coin)}` : plural(one.in_flight, "transaction"))));
  return rows.length ? table("All keys", ["Key", "Role", "State", "Under way"], rows) : h("p", { class: "meta" }, "No key has minted yet.");
}

async function part(box, ask, draw, signal) {
  put(box, skeleton("lines", 3));
  try {
    put(box, draw(await ask(signal)));
  } catch (error) {
    if (!isAbort(error) && !signal.aborted) put(box, failure(error, () => part(box, ask, draw, signal)));
  }
}

export async function show(root, _params, signal) {
  await styled("ownership.css");
  const boxes = [h("div", {}), h("div", {}), h("div", {})];
  const [first, second, third] = boxes;
  const section = (id, text, box) => h("section", { "aria-labelledby": id }, h("h2", { id }, text), box);
  put(root, h("header", { class: "opening" }, h("p", { class: "eyebrow" }, "Ownership"), h("h1", {}, "Who owns what")));
  const state = await chain();
  if (!state.enabled) return root.append(empty("There is no chain here", state.remedy ? `To change that, ${state.remedy}.` : ""));
  root.append(section("royalties", "Royalties", first), section("members", "What members decide", second), section("keys", "Keys that mint", third));
  await Promise.all([part(first, royalties, drawRoyalties, signal), part(second, governance, drawGovernance, signal), part(third, keys, (answer) => drawKeys(answer, state.coin), signal)]);
}
