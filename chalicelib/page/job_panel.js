/** A job that a section has submitted itself: followed to its end, with a bar. */

import { ApiError, pause, randomKey, request } from "./api.js";
import { announce, button, el, failure, notice, setText } from "./dom.js";
import { isFinal, jobs, nextPercent } from "./jobs.js";

/** Most have ended by then. */
const FIRST_SECONDS = 0.4;

/** A bar with words, for a job of a section. */
export class JobPanel {
  #shown = { percent: 0, attempt: 0 };

  constructor(label) {
    this.bar = el("progress", { max: 100, value: 0, "aria-label": label });
    this.message = el("span", { class: "card-message", text: "Submitting" });
    this.percent = el("span", { class: "card-percent", text: "0 %" });
    this.node = el(
      "div",
      { class: "job-panel" },
      el("p", { class: "card-line" }, this.message, this.percent),
      this.bar,
    );
  }

  /** Show how far `job` (a status envelope) is. */
  show(job) {
    this.#shown = { percent: nextPercent(this.#shown, job), attempt: job.attempt ?? 0 };
    this.bar.value = this.#shown.percent;
    setText(this.message, job.meta?.message || "Waiting");
    setText(this.percent, `${Math.floor(this.#shown.percent)} %`);
  }
}

/** Submit a job: `body` to `path`, by POST or another `method`. Returns its envelope; throws ApiError. */
export async function submitJob(path, body = {}, method = "POST") {
  const { data } = await request(path, {
    method,
    body: method === "POST" ? body : undefined,
    headers: { "Idempotency-Key": randomKey() },
  });
  jobs.put(data, true);
  return data;
}

/**
 * Follow a job until it has ended, showing it in `panel`; `isOpen` tells whether anybody still looks. Returns its last
 * envelope, or null when nobody does any more. Throws ApiError: what asking for it throws, or its own error.
 */
export async function outcomeOf(job, panel, isOpen) {
  const address = `./jobs/${encodeURIComponent(job.job_id)}/status`;
  let known = job;
  let etag = null;
  let wait = FIRST_SECONDS;
  panel.show(job);
  while (!isFinal(known.state)) {
    await pause(wait);
    if (!isOpen()) return null;
    const answer = await request(address, { etag });
    wait = answer.retryAfter ?? 1;
    if (answer.status === 304) continue;
    ({ data: known, etag } = answer);
    jobs.put(known, true);
    panel.show(known);
  }
  if (known.state === "SUCCESS") return known;
  const { message = "It was cancelled.", type, retryable = true } = known.error ?? {};
  announce(message);
  throw new ApiError(message, { type, retryable });
}

/**
 * A button that submits a job, and where the job is shown. `begin` resolves to the job, `ended(envelope)` to the words
 * that tell what came out; while it runs the button is disabled.
 */
export function jobButton(label, { name, symbol, begin, ended, isOpen }) {
  const state = el("div");
  const run = async () => {
    pressed.disabled = true;
    const panel = new JobPanel(name);
    state.replaceChildren(panel.node);
    try {
      const done = await outcomeOf(await begin(), panel, isOpen);
      if (!done) return;
      const told = await ended(done);
      state.replaceChildren(notice("info", told));
      announce(told);
    } catch (error) {
      if (isOpen()) state.replaceChildren(failure(error, run));
    } finally {
      pressed.disabled = false;
    }
  };
  const pressed = button(label, run, { kind: "small", symbol });
  return { button: pressed, state };
}
