/** The status line: which version runs where, and what it can read. Each badge is a symbol and words. */

import { request } from "./api.js";
import { el, icon } from "./dom.js";
import { words } from "./format.js";

const CALM_SECONDS = 60;
const EAGER_SECONDS = 5;
/** Workers report what they can do within the first seconds after a start. */
const STARTING_MS = 60_000;
const LOOKS = {
  ready: { symbol: "check", kind: "done", label: "ready" },
  preparing: { symbol: "clock", kind: "warning", label: "being prepared" },
  unavailable: { symbol: "cancel", kind: "idle", label: "not available" },
};
/** Names that are not words. */
const NAMES = { pdf: "PDF", ocr: "OCR", ai: "AI", youtube: "Films by link", web: "Web pages" };
const PLACES = { embedded: "On this machine", localstack: "LocalStack", aws: "AWS" };

let shown = "";

/** Show the status line in `root` and keep it fresh: often while something is being prepared, else every minute. */
export async function showHealth(root) {
  let seconds = CALM_SECONDS;
  try {
    const { data } = await request("./health", { open: true, attempts: 1 });
    const capabilities = Object.entries(data.capabilities ?? {});
    const soon = performance.now() < STARTING_MS ? ["preparing", "unavailable"] : ["preparing"];
    if (capabilities.some(([, { state }]) => soon.includes(state))) seconds = EAGER_SECONDS;
    render(root, data, capabilities);
  } catch (error) {
    seconds = EAGER_SECONDS;
    render(root, { status: error.message }, []);
  }
  setTimeout(() => showHealth(root), seconds * 1000);
}

function render(root, health, capabilities) {
  const key = JSON.stringify(health);
  if (key === shown) return;
  shown = key;
  const well = health.status === "ok";
  const facts = [
    badge(well ? "done" : "failed", well ? "check" : "alert", well ? "Service is up" : words(health.status)),
    health.place && el("span", { class: "health-fact", text: PLACES[health.place] ?? health.place }),
    health.version && el("span", { class: "health-fact", text: `Version ${health.version}` }),
    el("a", { href: "./docs", text: "API reference" }),
  ];
  const badges = capabilities.map(([name, capability]) => capabilityBadge(name, capability));
  const causes = capabilities.filter(([, { state, cause }]) => state !== "ready" && cause);
  root.replaceChildren(
    el("div", { class: "health-row" }, ...facts),
    badges.length ? el("ul", { class: "health-row", "aria-label": "What can be read" }, ...badges) : "",
    causes.length ? el("ul", { class: "health-causes" }, ...causes.map(causeLine)) : "",
  );
}

const nameOf = (name) => NAMES[name] ?? words(name);

function capabilityBadge(name, { state }) {
  const { kind, symbol, label } = LOOKS[state] ?? LOOKS.unavailable;
  return el("li", {}, badge(kind, symbol, `${nameOf(name)} ${label}`));
}

function causeLine([name, { cause }]) {
  return el("li", {}, el("strong", { text: nameOf(name) }), `: ${cause}`);
}

function badge(kind, symbol, text) {
  return el("span", { class: "badge", data: { kind } }, icon(symbol), text);
}
