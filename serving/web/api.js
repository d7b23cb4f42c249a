// Every call to the server is made here; a failure is always a Problem, in the words of RFC 9457.

const ROOT = new URL("../", import.meta.url);
const TIMEOUT_MS = 20000;

/** What went wrong, for a person: one sentence, perhaps a detail, what to do about it. */
export class Problem extends Error {
  constructor({ status = 0, title, detail = "", field = null, value = null, remedy = "" }) {
    super(title);
    Object.assign(this, { status, title, detail, field, value, remedy });
  }
}

export const isAbort = (error) => error?.name === "AbortError";

const tell = (isReachable) => window.dispatchEvent(new CustomEvent("nexus:reachable", { detail: isReachable }));

const unreachable = (isTimeout) =>
  new Problem({
    title: isTimeout ? "NEXUS takes too long to answer" : "NEXUS does not answer",
    remedy: "See what runs with bin/nexus status, then try again.",
  });

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

async function problem(response) {
  const body = await response.json().catch(() => ({}));
  const text = (value) => (typeof value === "string" ? value : "");
  return new Problem({
    status: response.status,
    // The title of a problem is its kind ("Not Found"); the detail is the sentence for a person.
    title: sentence(text(body.detail) || text(body.title) || `The server answered ${response.status}`),
    field: body.field ?? null,
    value: body.value ?? null,
    remedy: sentence(text(body.remedy)) || (response.status >= 500 ? "Try again in a moment; bin/nexus status says which part is down." : ""),
  });
}

export async function call(path, { method = "GET", query = {}, body, signal, accept = [] } = {}) {
  const url = new URL(path, ROOT);
  for (const [key, value] of Object.entries(query)) if (value !== undefined && value !== "") url.searchParams.set(key, value);
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(url, {
      method,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      headers: body === undefined ? { accept: "application/json" } : { accept: "application/json", "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    tell(false);
    throw unreachable(timeout.aborted);
  }
  tell(true);
  if (!response.ok && !accept.includes(response.status)) throw await problem(response);
  try {
    return response.status === 204 ? {} : await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem({ status: response.status, title: "The answer could not be read", remedy: "Try again." });
  }
}

export const id = encodeURIComponent;
export const items = (answer) => (Array.isArray(answer?.items) ? answer.items : []);

export const users = async (query, signal) => items(await call("v1/users", { query, signal }));
export const history = async (user, limit, signal) => items(await call(`v1/users/${id(user)}/history`, { query: { limit }, signal }));
export const content = (ref, signal) => call(`v1/content/${id(ref)}`, { signal });
export const similar = async (ref, limit, signal) => items(await call(`v1/content/${id(ref)}/similar`, { query: { limit }, signal }));
export const search = async (q, limit, signal) => items(await call("v1/search", { query: { q, limit }, signal }));
export const models = (signal) => call("v1/models", { signal });
export const ready = (signal) => call("health/ready", { signal, accept: [503] });
export const addContent = (body, signal) => call("v1/content", { method: "POST", body, signal });
export const operation = (ref, signal) => call(`v1/operations/${id(ref)}`, { signal });
export const web3 = (signal) => call("v1/web3", { signal });
export const cancelOperation = (ref) => call(`v1/operations/${id(ref)}/cancel`, { method: "POST" });

export async function recommendations(user, limit, signal) {
  const answer = await call(`v1/users/${id(user)}/recommendations`, { query: { limit }, signal });
  return { ...answer, items: items(answer) };
}

/** Sends one event; what the server refuses is a Problem like any other. */
export async function sendEvent({ type, user, content: ref, value }) {
  const event = { event_id: crypto.randomUUID(), type, user, content: ref, at: new Date().toISOString() };
  if (value !== undefined) event.value = value;
  const answer = await call("v1/events", { method: "POST", body: { events: [event] } });
  const refused = answer.refused?.[0];
  if (refused) throw new Problem({ status: 202, title: sentence(refused.reason ?? "that was refused"), field: refused.field });
}
