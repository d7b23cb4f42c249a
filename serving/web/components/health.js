// Whether the platform answers: one quiet line at the foot, a banner when nothing does.

import { isAbort, ready } from "../api.js";
import { h, put } from "../dom.js";

const EVERY_MS = 30000;
const AWAY = ["away", "down", "failed", "stopped", false]; // "unknown" is not: nobody asked it yet
const line = document.getElementById("health");
const banner = document.getElementById("offline");

function showBanner(isReachable) {
  banner.hidden = isReachable;
  if (isReachable) return;
  const text = navigator.onLine ? "NEXUS does not answer. bin/nexus status says what runs; this page goes on by itself." : "You are offline. This page goes on by itself.";
  if (banner.textContent !== text) banner.textContent = text;
}

/** The parts of a readiness answer, whatever its shape: [name, is it well]. */
export function parts(answer) {
  const listed = answer?.parts ?? answer?.checks ?? {};
  const pairs = Array.isArray(listed) ? listed.map((part) => [part.name, part.state ?? part.status ?? part.ok]) : Object.entries(listed);
  return pairs.map(([name, state]) => {
    const value = state !== null && typeof state === "object" ? (state.state ?? state.status ?? state.ok) : state;
    return [String(name), !AWAY.includes(value)];
  });
}

async function ask() {
  try {
    const answer = await ready();
    const bad = parts(answer).filter(([, isWell]) => !isWell).map(([name]) => name);
    const isReady = !bad.length && answer.status !== "not_ready";
    const text = isReady ? "Everything answers" : bad.length ? `Not answering: ${bad.join(", ")}` : "Not ready yet: no titles so far";
    if (line.textContent === text) return;
    put(line, h("span", { class: isReady ? "dot" : "dot dot-bad", "aria-hidden": "true" }), text);
  } catch (error) {
    if (!isAbort(error)) put(line, h("span", { class: "dot dot-bad", "aria-hidden": "true" }), "The platform does not answer");
  }
}

export function watchHealth() {
  window.addEventListener("nexus:reachable", (event) => showBanner(event.detail && navigator.onLine));
  window.addEventListener("offline", () => showBanner(false));
  window.addEventListener("online", ask);
  setInterval(() => document.visibilityState === "visible" && ask(), EVERY_MS);
  ask();
}
