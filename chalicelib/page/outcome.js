/** What came of a job, for its card: its result, or its error and what can be done about it. */

import { request } from "./api.js";
import { conceptChips, topicLink } from "./chips.js";
import { announce, button, el, icon } from "./dom.js";
import { count, percent } from "./format.js";
import { jobs } from "./jobs.js";
import { watch } from "./polling.js";
import { resubmit } from "./uploads.js";

const CHIPS = 8;
/** Near duplicates that a card names; the document's own page names all. */
const NAMED = 3;

/** Return the parts that show the result of an entry's job; some may be null or false. */
export function resultOf({ job }) {
  const result = job.result ?? {};
  const links = [
    topicLink(result),
    result.doc_id && documentLink("Open document", result.doc_id),
    ...sectionLinks(result),
  ].filter(Boolean);
  const warnings = (job.warnings ?? []).map((warning) =>
    el("p", { class: "card-warning" }, icon("alert"), warningText(warning)),
  );
  const near = result.near_duplicates ?? [];
  const alike = near.slice(0, NAMED).map((other) => likeness(result, other));
  if (near.length > NAMED) alike.push(`and ${near.length - NAMED} more`);
  return [
    conceptChips(result.concepts, { limit: CHIPS }),
    ...warnings,
    result.duplicate_of && alikeLine("The same file is in the library already, so nothing new was made."),
    alike.length > 0 && alikeLine("Much like ", alike),
    links.length > 0 && el("div", { class: "card-links" }, ...links),
  ];
}

function alikeLine(text, links = []) {
  const listed = links.flatMap((link, index) => (index ? [", ", link] : [link]));
  return el("p", { class: "card-alike" }, icon("copies"), el("span", {}, text, ...listed));
}

/** A near duplicate, as a link to the two side by side. */
function likeness({ doc_id: id }, other) {
  const address = `#/duplicates/${encodeURIComponent(other.doc_id)}/${encodeURIComponent(id)}`;
  return el("a", { href: address, text: `${other.title || "Untitled"} (${percent(other.similarity)})` });
}

/** Where the results of other jobs than ingestions are shown. */
function sectionLinks(result) {
  const link = (href, text) => el("a", { href }, text, icon("next"));
  return [
    Array.isArray(result.suggestions) && link("#/ideas", count(result.suggestions.length, "idea")),
    Number.isFinite(result.group_count) &&
      link("#/duplicates", count(result.group_count, "group of duplicates", "groups of duplicates")),
    Number.isFinite(result.clusters_after) && link("#/topics", count(result.clusters_after, "topic")),
    Array.isArray(result.documents) && link("#/documents", count(result.documents.length, "document")),
  ];
}

/** A warning is a sentence, or an object that has one. */
export const warningText = (warning) => warning?.message ?? String(warning);

function documentLink(label, id) {
  return el("a", { href: `#/documents/${encodeURIComponent(id)}` }, label, icon("next"));
}

/** Return the parts that show why an entry failed; some may be null or false. */
export function errorOf(entry) {
  const error = entry.problem ?? entry.job?.error ?? {};
  const message =
    entry.problem?.message ?? entry.job?.meta?.error ?? error.message ?? "It failed without saying why.";
  if (error.type === "password_required" && entry.file) {
    return [el("p", { class: "error-message", text: message }), passwordForm(entry)];
  }
  return [
    el("p", { class: "error-message", text: message }),
    typeof error.retryable === "boolean" && el("p", { class: "error-hint", text: hintOf(error.retryable) }),
    error.retryable && againButton(entry),
  ];
}

/** Send the file again where it never arrived; else start the job over. */
function againButton(entry) {
  if (entry.file && (entry.problem || !entry.job))
    return button("Upload again", () => resubmit(entry), { kind: "small", symbol: "retry" });
  const again = button("Try again", () => startOver(entry.job.job_id, again), {
    kind: "small",
    symbol: "retry",
  });
  return again;
}

async function startOver(id, pressed) {
  pressed.disabled = true;
  try {
    const { data } = await request(`./jobs/${encodeURIComponent(id)}/retry`, { method: "POST" });
    jobs.put(data, true);
    watch(id);
  } catch (error) {
    pressed.disabled = false;
    announce(error.message);
    pressed.after(el("p", { class: "field-error", text: error.message }));
  }
}

function passwordForm(entry) {
  const id = `password-${entry.key}`;
  const input = el("input", { type: "password", id, autocomplete: "off", required: true });
  const submit = (event) => {
    event.preventDefault();
    resubmit(entry, input.value);
  };
  return el(
    "form",
    { class: "password", on: { submit } },
    el("label", { for: id, text: "Password of the file" }),
    input,
    el("button", { class: "button small", type: "submit", text: "Open" }),
  );
}

const hintOf = (retryable) =>
  retryable ? "This may pass: trying again can help." : "Trying again with the same file won’t help.";
