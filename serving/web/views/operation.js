// One operation, live: its steps as they happen, a way to stop it, and what came of it.

import { cancelOperation, isAbort, operation, users } from "../api.js";
import { tile } from "../components/card.js";
import { tokenFacts } from "../components/proof.js";
import { failure, skeleton } from "../components/states.js";
import { h, icon, put, say } from "../dom.js";
import { span, title, viewerName, when } from "../format.js";
import { styled } from "../owning.js";
import { to } from "../router.js";
import { learn } from "../session.js";

const EVERY_MS = 800;
const PEOPLE = 8;
const STATES = { running: "Under way", completed: "Done", failed: "It failed", cancelled: "Stopped" };
const STEP_STATES = { completed: "done", running: "now", failed: "failed", cancelled: "stopped", skipped: "skipped" };

const MINT = {
  validate: "Check the title", metadata: "Write the metadata", pin: "Pin it on IPFS", manifest: "Sign the manifest",
  send: "Send the transaction", final: "Wait until the block is final", record: "Write the token down", publish: "Tell the others",
};

export const name = () => "Operation";

const isMint = (ref) => ref.startsWith("mint-");

const words = (text) => String(text ?? "").replaceAll(/[_-]+/g, " ").replace(/^./, (first) => first.toUpperCase());

function step(one, ref) {
  const state = STEP_STATES[one.state] ?? "waiting";
  const symbol = { done: "check", failed: "alert", stopped: "close" }[state];
  const took = span(one.started_at, one.finished_at);
  return h(
    "li",
    { class: `step step-${state}`, "aria-current": state === "now" ? "step" : null },
    h("span", { class: "step-mark", "aria-hidden": "true" }, symbol ? icon(symbol) : null),
    h("span", { class: "step-name" }, (isMint(ref) && MINT[one.name]) || words(one.name), one.detail ? h("span", { class: "meta" }, one.detail) : null),
    h("span", { class: "step-note" }, state === "done" && took ? took : state),
  );
}

/** A viewer by name as soon as the name is known. */
function person(userId) {
  const link = h("a", { class: "button", href: to.viewer(userId) }, `${userId.slice(0, 8)} …`);
  users({ q: userId, limit: 1 }).then(
    ([found]) => found?.user_id === userId && put(link, viewerName(found)),
    () => null, // the id will do
  );
  return link;
}

function outcome(result) {
  if (!result || typeof result !== "object") return null;
  const list = (heading, items) => (Array.isArray(items) && items.some((one) => one?.content_id) ? [h("h2", {}, heading), h("ul", { class: "grid grid-small" }, items.filter((one) => one?.content_id).map((one) => h("li", {}, tile(learn(one)))))] : null);
  return [
    result.token_id ? [tokenFacts({ ...result, chain: `chain ${result.chain_id}` }, { isShort: true }), h("p", {}, h("a", { class: "button primary", href: to.token(result.token_id) }, "Token, proof and gateways"))] : null,
    result.content_id ? h("p", {}, h("a", { class: "button primary", href: to.title(result.content_id) }, `Open ${result.title ? title(result.title) : "the title"}`)) : null,
    list("What it is like", result.similar),
    Array.isArray(result.audience) && result.audience.length ? [h("h2", {}, "Who would like it"), h("ul", { class: "chips" }, result.audience.slice(0, PEOPLE).map((one) => h("li", {}, person(one.user_id))))] : null,
  ];
}

const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

export async function show(root, { operation: ref }, signal) {
  if (isMint(ref)) await styled("ownership.css");
  const heading = h("h1", {}, "Under way");
  const note = h("p", { class: "lede" });
  const steps = h("ol", { class: "steps" });
  const foot = h("div", { class: "outcome" });
  const notice = h("div", {});
  put(root, h("header", { class: "opening" }, h("p", { class: "eyebrow" }, "Operation"), heading, note), notice, skeleton("lines", 5));
  const stop = h("button", { type: "button", class: "button" }, "Stop it");
  stop.addEventListener("click", async () => {
    stop.disabled = true;
    try {
      await cancelOperation(ref);
      say("Stopping");
    } catch (problem) {
      stop.disabled = false;
      put(notice, failure(problem));
    }
  });
  let said = "";
  while (!signal.aborted) {
    try {
      const answer = await operation(ref, signal);
      if (!steps.isConnected) put(root, root.firstChild, notice, steps, foot);
      const list = Array.isArray(answer.steps) ? answer.steps : [];
      put(steps, list.map((one) => step(one, ref)));
      heading.textContent = STATES[answer.state] ?? words(answer.state);
      note.textContent = answer.started_at ? `Started ${when(answer.started_at)}.` : ref;
      const now = list.find((one) => STEP_STATES[one.state] === "now");
      const text = answer.state === "running" ? (isMint(ref) && MINT[now?.name]) || words(now?.name) : heading.textContent;
      if (text && text !== said) say((said = text));
      if (answer.state === "running") {
        if (!stop.isConnected) put(foot, h("p", {}, stop));
      } else {
        put(foot, answer.state === "failed" ? failure({ title: "It did not finish", detail: answer.error?.message ?? "", remedy: "bin/nexus logs worker tells more." }) : null, outcome(answer.result), h("p", {}, isMint(ref) ? h("a", { class: "button", href: to.title(ref.slice("mint-".length)) }, "The title") : h("a", { class: "button", href: "#/add" }, "Add another")));
        return;
      }
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      if (error.status && error.status < 500) throw error;
      put(notice, failure(error)); // a restart of the API is not the operation's end: go on asking
    }
    await pause(EVERY_MS, signal);
    if (notice.firstChild && steps.isConnected) put(notice);
  }
}
