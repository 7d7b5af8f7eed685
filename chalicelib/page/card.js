/** One file or job as a card: its state, a bar while it runs, then its result or its error. */

import { request } from "./api.js";
import { announce, button, el, icon, setText } from "./dom.js";
import { between, bytes, duration, relativeTime, shortAddress, words } from "./format.js";
import { isFinal, jobs } from "./jobs.js";
import { errorOf, resultOf } from "./outcome.js";
import { watch } from "./polling.js";

/** Look and wording per state: `kind` chooses the colour. */
const STATES = {
  waiting: { kind: "idle", symbol: "clock", label: "Waiting" },
  preparing: { kind: "active", symbol: "upload", label: "Uploading" },
  uploading: { kind: "active", symbol: "upload", label: "Uploading" },
  stopped: { kind: "failed", symbol: "fail", label: "Not uploaded" },
  PENDING: { kind: "idle", symbol: "clock", label: "Queued" },
  PROCESSING: { kind: "active", symbol: "spinner", label: "Processing" },
  RETRY: { kind: "warning", symbol: "retry", label: "Retrying" },
  SUCCESS: { kind: "done", symbol: "check", label: "Done" },
  FAILURE: { kind: "failed", symbol: "fail", label: "Failed" },
  REVOKED: { kind: "idle", symbol: "cancel", label: "Cancelled" },
};

/** Used where the API sends a stage without a message. */
const STAGES = {
  awaiting_upload: "Waiting for the upload",
  waiting_turn: "Waiting for its turn",
  scheduled: "Waiting for its next attempt",
  queued: "Waiting for a worker",
  starting: "Starting",
  decoding: "Reading the file",
  extracting_text: "Extracting text",
  ai_analysis: "Finding concepts",
  clustering: "Finding its topic",
  saving: "Saving",
};

/** Jobs that have no file. */
const TASKS = {
  dissolve_cluster: "Taking a topic apart",
  find_duplicates_background: "Search for duplicates",
  generate_build_suggestions: "Ideas",
  refresh_analytics: "Counting for insights",
  regroup_library: "Regrouping of topics",
};

const stateOf = (entry) =>
  entry.phase && entry.phase !== "sent" && !isFinal(entry.job?.state)
    ? entry.phase
    : (entry.job?.state ?? "PENDING");

/** What to call a job: its file, its address or its task. */
export function titleOf({ file, job }) {
  const address = job?.url || job?.result?.url;
  return (
    file?.name ||
    job?.filename ||
    job?.result?.filename ||
    (address && shortAddress(address)) ||
    TASKS[job?.task] ||
    words(job?.task ?? "Job")
  );
}

/** A card that keeps its elements from update to update, so that the bar moves and focus stays. */
export class Card {
  #shown = null;
  #state = null;

  constructor(entry) {
    this.entry = entry;
    const id = `title-${entry.key}`;
    this.symbol = el("span", { class: "card-symbol" });
    this.title = el("h3", { class: "card-title", id });
    this.badge = el("span", { class: "badge" });
    this.facts = el("p", { class: "facts" });
    this.bar = el("progress", { max: 100, value: 0, "aria-labelledby": id });
    this.message = el("span", { class: "card-message" });
    this.percent = el("span", { class: "card-percent" });
    this.cancel = button("Cancel", () => this.#cancel(), { kind: "quiet tiny" });
    this.cancel.setAttribute("aria-describedby", id);
    this.running = el(
      "div",
      { class: "card-running" },
      this.bar,
      el("p", { class: "card-line" }, this.message, this.percent, this.cancel),
    );
    this.outcome = el("div", { class: "card-outcome" });
    const head = el("div", { class: "card-head" }, this.title, this.badge);
    const body = el("div", { class: "card-body" }, head, this.facts, this.running, this.outcome);
    this.node = el("article", { class: "card", "aria-labelledby": id }, this.symbol, body);
    this.update();
  }

  /** Show what the entry holds now. */
  update() {
    const state = stateOf(this.entry);
    this.#changeState(state);
    const over = isFinal(state) || state === "stopped";
    this.running.hidden = over;
    if (!over) this.#showProgress(state);
    this.#showOutcome(state, over);
  }

  #changeState(state) {
    this.#showTitle();
    if (state === this.#state) return;
    const look = STATES[state] ?? STATES.PENDING;
    const title = titleOf(this.entry);
    setText(this.badge, look.label);
    this.symbol.replaceChildren(icon(look.symbol));
    this.node.dataset.kind = look.kind;
    this.node.dataset.state = state;
    // Only what happens before one's eyes is said, not the history when it is first shown.
    if (this.#state !== null && isFinal(state)) announce(`${title}: ${look.label}.`);
    this.#state = state;
  }

  /** The title leads to all that is known of the job, once there is one. */
  #showTitle() {
    const id = this.entry.job?.job_id;
    const title = titleOf(this.entry);
    if (this.title.textContent === title && Boolean(this.title.firstElementChild) === Boolean(id)) return;
    this.title.replaceChildren(id ? el("a", { href: `#/jobs/${encodeURIComponent(id)}`, text: title }) : title);
  }

  #showProgress(state) {
    const { entry } = this;
    if (this.bar.value !== entry.percent) this.bar.value = entry.percent;
    setText(this.message, messageOf(entry, state));
    setText(this.percent, `${Math.floor(entry.percent)} %`);
    // What this tab has yet to upload is not the service's to cancel.
    this.cancel.hidden = !entry.job || (entry.phase !== null && entry.phase !== "sent");
    this.#showFacts();
  }

  async #cancel() {
    this.cancel.disabled = true;
    const { job_id: id } = this.entry.job;
    try {
      const { data } = await request(`./jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
      jobs.put(data, true);
      watch(id);
    } catch (error) {
      announce(error.message); // Most likely it has ended meanwhile, which shows by itself.
    } finally {
      this.cancel.disabled = false;
    }
  }

  #showFacts() {
    const { job, size } = this.entry;
    const took = isFinal(job?.state) ? between(job.started_at ?? job.created_at, job.finished_at) : null;
    const facts = [
      size !== null && el("span", { text: bytes(size) }),
      job?.created_at && relativeTime(job.created_at),
      took !== null && el("span", { text: `took ${duration(took)}` }),
      job?.attempt > 1 && el("span", { text: `attempt ${job.attempt}` }),
    ].filter(Boolean);
    const key = facts.map((fact) => fact.textContent).join();
    if (this.facts.dataset.key === key) return;
    this.facts.dataset.key = key;
    this.facts.replaceChildren(...facts);
  }

  #showOutcome(state, over) {
    const key = over
      ? JSON.stringify([state, this.entry.job?.result, this.entry.job?.error, this.entry.problem])
      : null;
    if (key === this.#shown) return;
    this.#shown = key;
    this.#showFacts();
    const parts = { SUCCESS: resultOf, FAILURE: errorOf, stopped: errorOf }[state]?.(this.entry) ?? [];
    this.outcome.replaceChildren(...parts.filter(Boolean));
  }
}

function messageOf({ sent, size, job, note, phase }, state) {
  if (note) return note;
  if (state === "waiting") return "Waiting for its turn to upload";
  if (state === "preparing") return "Preparing the upload";
  if (state === "uploading") {
    const share = Math.floor((sent / size) * 100);
    return share < 100
      ? `Uploading: ${bytes(sent)} of ${bytes(size)} (${share} %)`
      : "Upload sent, waiting for confirmation";
  }
  const { stage, message } = job.meta ?? {};
  // Sent by this tab; the service has only not looked at it yet.
  if (stage === "awaiting_upload" && phase === "sent") return "Uploaded, waiting to be noticed";
  return message || STAGES[stage] || (stage ? words(stage) : "Waiting");
}

/** A list of cards that follows a list of entries, which `entries` returns. */
export class CardList {
  #cards = new Map();
  #stop = new AbortController();

  constructor(entries) {
    this.entries = entries;
    this.node = el("ol", { class: "cards" });
    const { signal } = this.#stop;
    jobs.addEventListener("list", () => this.arrange(), { signal });
    jobs.addEventListener("change", ({ detail }) => this.#cards.get(detail.key)?.card.update(), { signal });
    this.arrange();
  }

  /** Bring the cards into the entries' order, moving as few as possible. */
  arrange() {
    const entries = this.entries();
    const wanted = new Set(entries.map(({ key }) => key));
    for (const [key, { item }] of this.#cards) {
      if (wanted.has(key)) continue;
      item.remove();
      this.#cards.delete(key);
    }
    let at = this.node.firstElementChild;
    for (const entry of entries) {
      const item = this.#item(entry);
      if (item === at) at = at.nextElementSibling;
      else this.node.insertBefore(item, at);
    }
  }

  /** Stop following. */
  close() {
    this.#stop.abort();
  }

  #item(entry) {
    if (!this.#cards.has(entry.key)) {
      const card = new Card(entry);
      this.#cards.set(entry.key, { card, item: el("li", {}, card.node) });
    }
    return this.#cards.get(entry.key).item;
  }
}
