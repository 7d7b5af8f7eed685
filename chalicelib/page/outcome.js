/** What came of a job, for its card: its result, or its error and what can be done about it. */

import { adviceOn, NOTHING_TO_RETRY } from "./advice.js";
import { request } from "./api.js";
import { conceptChips, topicLink } from "./chips.js";
import { announce, button, el, icon } from "./dom.js";
import { count, number, percent } from "./format.js";
import { jobs } from "./jobs.js";
import { watch } from "./polling.js";
import { resubmit } from "./uploads.js";

const CHIPS = 8;
/** Near duplicates that a card names; the document's own page names all. */
const NAMED = 3;
/** Files of an archive that a card lists. */
const LISTED = 200;

/** Return the parts that show the result of an entry's job; some may be null or false. */
export function resultOf({ job }) {
  const result = job.result ?? {};
  const links = [
    // The topic of a job that took it apart is gone.
    result.doc_id && topicLink(result),
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
    ...archiveParts(result),
  ];
}

/** What became of an archive's files: its documents, what could not be read, what was left out and why. */
function archiveParts({ documents, errors, skipped, skipped_in_all: inAll }) {
  const named = (parts, { filename }) => el("li", {}, el("span", { class: "name", text: filename }), ...parts);
  const readable = ({ doc_id: id, title, filename }) =>
    el(
      "li",
      {},
      el("a", { href: `#/documents/${encodeURIComponent(id)}`, text: title || filename }),
      title && title !== filename && el("span", { class: "muted", text: filename }),
    );
  const broken = (one) =>
    named(
      [
        el("span", { class: "muted", text: one.error?.message }),
        one.job_id && el("a", { href: `#/jobs/${encodeURIComponent(one.job_id)}`, text: "Its job" }),
      ],
      one,
    );
  const left = (one) => named([el("span", { class: "muted", text: one.reason })], one);
  return [
    folded(documents, (total) => count(total, "document"), readable),
    folded(errors, (total) => `${count(total, "file")} could not be read`, broken),
    folded(skipped, (total) => `${number(total)} left out`, left, inAll),
  ];
}

/** A list that opens on demand; null where there is nothing. `inAll`: how many there are, where not all are told. */
function folded(entries, heading, line, inAll = null) {
  if (!Array.isArray(entries) || !entries.length) return null;
  const total = inAll ?? entries.length;
  const rest = total - Math.min(entries.length, LISTED);
  return el(
    "details",
    { class: "card-list" },
    el("summary", { text: heading(total) }),
    el(
      "ul",
      {},
      ...entries.slice(0, LISTED).map(line),
      rest > 0 && el("li", { class: "muted", text: `and ${number(rest)} more` }),
    ),
  );
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
    Number.isFinite(result.moved) && !Number.isFinite(result.clusters_after) && link("#/topics", `${count(result.moved, "document")} moved to other topics`),
    Number.isFinite(result.clusters_after) && link("#/topics", count(result.clusters_after, "topic")),
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
  if (error.type === "password_required" && entry.job) {
    return [el("p", { class: "error-message", text: message }), passwordForm(entry)];
  }
  const hint = adviceOn(error, entry);
  return [
    el("p", { class: "error-message", text: message }),
    hint && el("p", { class: "error-hint", text: hint }),
    againButton(entry, error),
  ];
}

/** Send the file again where it never arrived; else start the job over, where the API has anything to start. */
function againButton(entry, error) {
  if (entry.problem || !entry.job) {
    const wanted = entry.file && error.retryable;
    return wanted && button("Upload again", () => resubmit(entry), { kind: "small", symbol: "retry" });
  }
  if (NOTHING_TO_RETRY.has(error.type)) return null;
  const again = button("Try again", () => startOver(entry.job.job_id, again), { kind: "small", symbol: "retry" });
  return again;
}

async function startOver(id, pressed, body = undefined) {
  pressed.disabled = true;
  try {
    const { data } = await request(`./jobs/${encodeURIComponent(id)}/retry`, { method: "POST", body });
    jobs.put(data, true);
    watch(id);
  } catch (error) {
    pressed.disabled = false;
    announce(error.message);
    pressed.parentElement.querySelector(":scope > .field-error")?.remove();
    pressed.after(el("p", { class: "field-error", role: "alert", text: error.message }));
  }
}

/** The service keeps the file of a failed job: only the password is sent, even after a reload. */
function passwordForm(entry) {
  const id = `password-${entry.key}`;
  const input = el("input", { type: "password", id, autocomplete: "off", required: true });
  const open = el("button", { class: "button small", type: "submit", text: "Open" });
  const submit = (event) => {
    event.preventDefault();
    startOver(entry.job.job_id, open, { password: input.value });
  };
  return el(
    "form",
    { class: "password", on: { submit } },
    el("label", { for: id, text: "Password of the file" }),
    input,
    open,
  );
}
