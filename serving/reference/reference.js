// Renders /openapi.json and lets a person try each route. Text only ever enters the page as text.

function h(name, props = {}, ...children) {
  const element = Object.assign(document.createElement(name), props);
  element.append(...children.filter((one) => one !== null && one !== undefined));
  return element;
}

const pretty = (value) => JSON.stringify(value, null, 2);
const body = (holder) => holder?.content?.["application/json"] ?? holder?.content?.["application/problem+json"];

function fields(operation) {
  return (operation.parameters ?? []).map((one) => {
    const schema = one.schema ?? {};
    const limits = [schema.minimum !== undefined ? `${schema.minimum} to ${schema.maximum}` : null, one.required ? "required" : null].filter(Boolean).join(", ");
    const input = h("input", { name: one.name, value: one.required ? (schema.examples ?? one.examples ?? [""])[0] : "", placeholder: String(schema.default ?? "") });
    input.dataset.place = one.in;
    return h("label", {}, h("span", {}, h("code", {}, one.name), h("span", { className: "soft" }, ` ${limits} ${one.description ?? schema.description ?? ""}`)), input);
  });
}

function address(path, form) {
  let filled = path;
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("input")) {
    if (input.dataset.place === "path") filled = filled.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.set(input.name, input.value);
  }
  return query.size ? `${filled}?${query}` : filled;
}

async function send(verb, path, form, out) {
  out.textContent = "...";
  try {
    const text = form.querySelector("textarea")?.value;
    const headers = text === undefined ? {} : { "content-type": "application/json" };
    const url = address(path, form);
    const response = await fetch(url, { method: verb.toUpperCase(), headers, body: text });
    const answer = await response.text();
    let shown = answer;
    try {
      shown = pretty(JSON.parse(answer));
    } catch {
      // not JSON: shown as it came
    }
    out.textContent = `${verb.toUpperCase()} ${url}\n${response.status} ${response.statusText}\n\n${shown.slice(0, 20000)}`;
  } catch (error) {
    out.textContent = `No answer: ${error.message}. See bin/nexus status.`;
  }
}

function route(path, verb, operation) {
  const out = h("pre", { hidden: true });
  const example = body(operation.requestBody)?.example;
  const form = h("form", {}, ...fields(operation), operation.requestBody ? h("label", {}, "body", h("textarea", { value: pretty(example ?? {}), spellcheck: false })) : null, h("button", {}, "Try it"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    out.hidden = false;
    send(verb, path, form, out);
  });
  const answers = Object.entries(operation.responses ?? {}).map(([status, answer]) => {
    const shown = body(answer)?.example;
    return h("div", {}, h("p", {}, h("code", {}, status), ` ${answer.description ?? ""}`), shown ? h("pre", {}, pretty(shown)) : null);
  });
  return h(
    "details",
    { id: operation.operationId },
    h("summary", {}, h("span", { className: "verb" }, verb.toUpperCase()), h("code", {}, path), h("span", { className: "soft" }, operation.summary ?? "")),
    h("div", { className: "body" }, h("p", {}, operation.description ?? ""), form, out, h("h3", {}, "Answers"), ...answers),
  );
}

async function show() {
  const root = document.getElementById("routes");
  try {
    const description = await (await fetch("/openapi.json")).json();
    const groups = new Map();
    for (const [path, verbs] of Object.entries(description.paths))
      for (const [verb, operation] of Object.entries(verbs)) {
        const tag = operation.tags?.[0] ?? "other";
        groups.set(tag, [...(groups.get(tag) ?? []), route(path, verb, operation)]);
      }
    root.replaceChildren(...[...groups].flatMap(([tag, routes]) => [h("h2", {}, tag), ...routes]));
  } catch (error) {
    root.replaceChildren(h("p", {}, `The description could not be read: ${error.message}`));
  }
}

show();
