/**
 * The API reference: openapi.json, readable. Everything in it becomes text, never markup.
 */

import { el } from "./dom.js";
import { exampleOf, fields, parts, resolve, typeOf } from "./reference_schema.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEPEST = 4;
// What is said of a field that a request must have, and of one that an answer has.
const NEEDED = "required";
const ALWAYS = "always";

const find = (id) => document.getElementById(id);

/** Text in which `…` is code, in paragraphs. */
function prose(text, className = "prose") {
  const paragraphs = text.split(/\n{2,}/).map((paragraph) => {
    const pieces = paragraph.split(/`([^`]+)`/);
    return el("p", {}, ...pieces.map((piece, place) => (place % 2 ? el("code", { text: piece }) : piece)));
  });
  return el("div", { class: className }, ...paragraphs);
}

/** Every operation in the order of its heading: {id, method, path, operation}. */
function operationsOf(api) {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({
      id: methods[method].operationId,
      method: method.toUpperCase(),
      path,
      operation: methods[method],
    })),
  );
}

// --- Parts of one operation ----------------------------------------------------------------------------------

function badge(method) {
  return el("span", { class: "method", data: { method }, text: method });
}

function row(name, mark, type, description, fallback) {
  const said = description ? [prose(description, "cell")] : [];
  if (fallback !== undefined) said.push(el("p", { class: "soft" }, "Default: ", el("code", { text: String(fallback) })));
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, el("code", { text: name }), mark ? el("span", { class: "required", text: mark }) : null),
    el("td", { text: type }),
    el("td", {}, ...said),
  );
}

function table(caption, rows) {
  if (!rows.length) return null;
  const heads = ["Name", "Type", "Meaning"].map((text) => el("th", { scope: "col", text }));
  return el(
    "div",
    { class: "table-frame" },
    el("table", {}, el("caption", { text: caption }), el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)),
  );
}

/** A table of an object's fields; `mark` says of a field that it must be, or always is, there. */
function fieldTable(api, caption, schema, mark) {
  const rows = fields(schema).map((field) => {
    const { description } = field.schema.description ? field.schema : resolve(api, field.schema) || {};
    return row(field.name, field.required && mark, typeOf(api, field.schema), description, field.schema.default);
  });
  return table(caption, rows);
}

/** The objects inside an object, each folded away. */
function inner(api, schema, mark, depth = 1, seen = new Set()) {
  if (depth > DEEPEST) return [];
  const found = fields(schema).flatMap((field) => parts(api, field.schema));
  return found
    .filter(({ name }) => name && !seen.has(name) && seen.add(name))
    .map(({ name, schema: part }) =>
      el(
        "details",
        { class: "part" },
        el("summary", {}, el("code", { text: name }), part.description ? ` ${part.description.split("\n")[0]}` : ""),
        fieldTable(api, name, part, mark),
        ...inner(api, part, mark, depth + 1, seen),
      ),
    );
}

function parameters(api, operation) {
  const groups = { path: "Path", query: "Query", header: "Headers" };
  return Object.entries(groups).map(([place, caption]) =>
    table(
      caption,
      (operation.parameters || [])
        .filter((parameter) => parameter.in === place)
        .map((each) => row(each.name, each.required && NEEDED, typeOf(api, each.schema), each.description, each.schema.default)),
    ),
  );
}

function bodyOf(operation) {
  return operation.requestBody ? operation.requestBody.content["application/json"].schema : null;
}

function body(api, operation) {
  const schema = bodyOf(operation);
  if (!schema) return [];
  const found = resolve(api, schema);
  return [
    el("h4", { text: operation.requestBody.required ? "Body" : "Body (may be left out)" }),
    fieldTable(api, "JSON", found, NEEDED),
    ...inner(api, found, NEEDED),
  ];
}

function answer(api, status, given) {
  const found = resolve(api, given);
  const media = Object.entries(found.content || {});
  const schema = media.map(([, { schema: one }]) => one).find((one) => one.$ref);
  const shape = schema ? resolve(api, schema) : null;
  const headers = Object.entries(found.headers || {}).map(([name, header]) =>
    row(name, header.required && ALWAYS, typeOf(api, header.schema), header.description),
  );
  const kinds = media.map(([kind]) => kind).join(", ");
  return el(
    "details",
    { class: "answer", data: { good: String(status < 400) } },
    el("summary", {}, el("code", { class: "status", text: status }), ` ${found.description}`),
    el("p", { class: "soft", text: kinds || "No body." }),
    table("Headers", headers),
    shape ? fieldTable(api, schema.$ref.split("/").pop(), shape, ALWAYS) : null,
    ...(shape ? inner(api, shape, ALWAYS) : []),
  );
}

/** The command that calls the route, as it would be typed into a shell. */
function command(api, { method, path, operation }) {
  const base = new URL(".", location.href).href.replace(/\/$/, "");
  const quote = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
  const needed = (operation.parameters || []).filter((each) => each.in === "query" && each.required);
  const query = needed.length ? `?${needed.map((each) => `${each.name}=${each.name === "q" ? "tide" : "…"}`).join("&")}` : "";
  const pieces = ["curl -s"];
  if (method !== "GET") pieces.push(`-X ${method}`);
  if (!operation.security || operation.security.length) pieces.push('-H "Authorization: Bearer $TOKEN"');
  const schema = bodyOf(operation);
  if (schema) pieces.push("-H 'Content-Type: application/json'", `-d ${quote(JSON.stringify(exampleOf(api, schema)))}`);
  return [...pieces, quote(base + path.replaceAll(/\{(\w+)\}/g, "<$1>") + query)].join(" \\\n  ");
}

function example(api, entry) {
  const text = command(api, entry);
  const button = el("button", { class: "button quiet small", type: "button", text: "Copy" });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select the text and copy it";
    }
  });
  return el("div", { class: "example" }, el("pre", { tabindex: "0" }, el("code", { text })), button);
}

function article(api, entry) {
  const { operation } = entry;
  const open = operation.security && !operation.security.length;
  return el(
    "article",
    { class: "operation", id: entry.id },
    el("h3", {}, badge(entry.method), el("a", { href: `#${entry.id}`, class: "path", text: entry.path })),
    prose(`${operation.summary}.${operation.description ? `\n\n${operation.description}` : ""}`),
    open ? el("p", { class: "soft", text: "Needs no token." }) : null,
    ...parameters(api, operation),
    ...body(api, operation),
    el("h4", { text: "Answers" }),
    ...Object.entries(operation.responses).map(([status, given]) => answer(api, status, given)),
    el("h4", { text: "Example" }),
    example(api, entry),
  );
}

// --- The page ------------------------------------------------------------------------------------------------

function navigation(entries) {
  return entries.map((entry) =>
    el("a", { href: `#${entry.id}`, data: { words: `${entry.method} ${entry.path} ${entry.operation.summary}`.toLowerCase() } },
      badge(entry.method), el("span", { text: entry.path })),
  );
}

function filter(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  for (const link of find("routes").querySelectorAll("a")) {
    const there = wanted.every((word) => link.dataset.words.includes(word));
    link.hidden = !there;
    find(link.hash.slice(1)).hidden = !there;
  }
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = !group.querySelector("a[data-words]:not([hidden]), article:not([hidden])");
  }
}

function show(api) {
  find("about").append(
    prose(api.info.description),
    el("p", { class: "soft" }, `Version ${api.info.version}. The same for machines: `, el("a", { href: "openapi.json", text: "openapi.json" }), " (OpenAPI 3.1)."),
  );
  const entries = operationsOf(api);
  for (const { name, description } of api.tags) {
    const group = entries.filter(({ operation }) => operation.tags.includes(name));
    if (!group.length) continue;
    find("routes").append(el("div", { data: { group: name } }, el("p", { class: "tag", text: name }), ...navigation(group)));
    find("content").append(
      el("section", { data: { group: name } }, el("h2", { text: name }), prose(description), ...group.map((entry) => article(api, entry))),
    );
  }
  find("filter").addEventListener("input", (event) => filter(event.target.value));
  // The address may name a route that was not there when the page was loaded.
  if (location.hash) find(location.hash.slice(1))?.scrollIntoView();
}

try {
  const answered = await fetch("openapi.json", { credentials: "omit" });
  if (!answered.ok) throw new Error(`HTTP ${answered.status}`);
  show(await answered.json());
} catch (error) {
  find("content").append(el("p", { class: "notice", role: "alert", text: `The description can't be loaded (${error.message}).` }));
}
