/**
 * Keeps running jobs up to date with few requests. Up to SINGLY jobs are asked for one by one, each when its
 * `Retry-After` says, with its ETag. More are read together from the list; only those too old for its first page
 * are asked for singly, at most RATE a second.
 */

import { backoff, request } from "./api.js";
import { isFinal, jobs } from "./jobs.js";
import { session } from "./session.js";

const SINGLY = 6;
const IN_FLIGHT = 6;
const RATE = 8;
/** A small file is often done by then. */
const FIRST_SECONDS = 0.4;
const SWEEP_SECONDS = 1.5;
const SWEEP_LIMIT = 100;
const TICK_MS = 200;
/** A job whose upload another tab is busy with, or nobody any more: there is no hurry. */
const ABANDONED_SECONDS = 10;
/** Until then the upload has probably just ended, and its job is about to start. */
const YOUNG_SECONDS = 60;

/** Per job id: {due (ms), etag, busy, failures}. */
const watched = new Map();
let timer = 0;
let nextSweep = 0;
let sweeping = false;

/** Follow a job until it has ended. Among many, the next sweep is likely to come first. */
export function watch(jobId) {
  const seconds = watched.size < SINGLY ? FIRST_SECONDS : 2 * SWEEP_SECONDS;
  if (!watched.has(jobId))
    watched.set(jobId, { due: Date.now() + seconds * 1000, etag: null, busy: false, failures: 0 });
  timer ||= setInterval(tick, TICK_MS);
}

/** Follow every job in the history (or of `entries`) that has not ended and whose upload is not this tab's own business. */
export function watchHistory(entries = jobs.history) {
  for (const { job, phase } of entries) {
    if (!isFinal(job.state) && (phase === null || phase === "sent")) watch(job.job_id);
  }
}

function tick() {
  if (watched.size === 0 || !session.token) {
    clearInterval(timer);
    timer = 0;
    if (!session.token) watched.clear();
    return;
  }
  const now = Date.now();
  if (watched.size > SINGLY && now >= nextSweep && !sweeping) sweep();
  let free = IN_FLIGHT - [...watched.values()].filter((entry) => entry.busy).length;
  for (const [jobId, entry] of watched) {
    if (free <= 0) break;
    if (entry.busy || entry.due > now || (watched.size > SINGLY && sweeping)) continue;
    free -= 1;
    ask(jobId, entry);
  }
}

async function ask(jobId, entry) {
  entry.busy = true;
  try {
    const answer = await request(`./jobs/${encodeURIComponent(jobId)}/status`, {
      etag: entry.etag,
      attempts: 1,
    });
    entry.failures = 0;
    if (answer.status !== 304) {
      entry.etag = answer.etag;
      take(answer.data, true);
    }
    entry.due =
      Date.now() + Math.max(answer.retryAfter ?? 1, watched.size / RATE, patience(answer.data)) * 1000;
  } catch (error) {
    failed(jobId, entry, error);
  } finally {
    entry.busy = false;
  }
}

async function sweep() {
  sweeping = true;
  try {
    const { data, retryAfter } = await request(`./jobs?limit=${SWEEP_LIMIT}`, { attempts: 1 });
    const pause = Math.max(SWEEP_SECONDS, retryAfter ?? 0) * 1000;
    nextSweep = Date.now() + pause;
    for (const job of data.jobs) {
      const entry = watched.get(job.job_id);
      if (entry) entry.due = nextSweep + pause; // Not singly: the next sweep comes first.
      if (entry) take(job, false);
    }
  } catch (error) {
    nextSweep = Date.now() + (error.retryAfter ?? 5) * 1000;
  } finally {
    sweeping = false;
  }
}

function take(job, direct) {
  const { state } = jobs.put(job, direct).job;
  if (isFinal(state)) watched.delete(job.job_id);
}

function patience(job) {
  const age = (Date.now() - Date.parse(job?.created_at ?? "")) / 1000;
  return job?.meta?.stage === "awaiting_upload" && age > YOUNG_SECONDS ? ABANDONED_SECONDS : 0;
}

function failed(jobId, entry, error) {
  entry.failures += 1;
  entry.due = Date.now() + (error.retryAfter ?? backoff(entry.failures)) * 1000;
  if (error.status !== 404) return;
  watched.delete(jobId);
  jobs.put(
    { job_id: jobId, state: "FAILURE", error: { type: "not_found", message: "This job no longer exists." } },
    true,
  );
}

// Browsers slow the clock of a tab in the background: catch up at once when it comes back.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  nextSweep = 0;
  for (const entry of watched.values()) entry.due = Math.min(entry.due, Date.now());
});
