/**
 * What the page knows of jobs: one entry per file added here or job read from the API.
 * Events of `jobs`: "change" (detail: the entry), "list" when entries or the history changed.
 */

import { request } from "./api.js";

const PAGE_SIZE = 25;
const RANK = { PENDING: 0, PROCESSING: 1, RETRY: 2, SUCCESS: 3, FAILURE: 3, REVOKED: 3 };
/** The upload's share of the bar, in per cent: the first stage of the work, `decoding`, is at 10. */
const UPLOAD_SHARE = 10;

/** Whether a job in this state has ended. */
export const isFinal = (state) => RANK[state] === 3;

/**
 * Per cent to show for `job` (a status envelope), given what was shown before ({percent, attempt}).
 * Always a number from 0 to 100; 100 only on SUCCESS. It never falls within an attempt; a second or later attempt
 * starts where it is.
 */
export function nextPercent(shown, job) {
  if (job.state === "SUCCESS") return 100;
  const told = Number(job.meta?.percent);
  const value = Number.isFinite(told) ? Math.min(Math.max(told, 0), 99) : 0;
  const startsAgain = shown.attempt > 0 && (job.attempt ?? 0) > shown.attempt;
  return startsAgain ? value : Math.max(shown.percent, value);
}

/**
 * Whether `job` may replace `known` (both envelopes). The list may lag behind a status that was read directly
 * (`direct`), and nothing leaves SUCCESS or REVOKED; FAILURE is left only by a retry, which starts to count afresh.
 */
export function supersedes(known, job, direct) {
  if (!known) return true;
  if (isFinal(known.state) && !isFinal(job.state)) {
    return known.state === "FAILURE" && (direct || (job.attempt ?? 0) < (known.attempt ?? 0));
  }
  if (direct) return true;
  const [before, after] = [known.attempt ?? 0, job.attempt ?? 0];
  return after > before || (after === before && RANK[job.state] >= RANK[known.state]);
}

function newestFirst(entries) {
  const time = ({ job }) => Date.parse(job?.created_at) || 0;
  return entries.sort((a, b) => time(b) - time(a));
}

/** Not an upload that stopped, here or in a tab that is gone. */
function isUnderWay({ phase, job }) {
  if (phase === null) return !isFinal(job.state) && job.meta?.stage !== "awaiting_upload";
  return phase !== "stopped" && !isFinal(job?.state);
}

/** One file or job. */
class Entry {
  constructor(key, values) {
    /** Stays the same for the page's life. */
    this.key = key;
    /** "waiting", "preparing", "uploading", "sent" or "stopped" for a file added here; null for a job only read. */
    this.phase = null;
    /** The File, kept while it may have to be sent again. */
    this.file = null;
    /** The file's size in bytes, or null for a job only read. */
    this.size = null;
    /** Bytes sent. */
    this.sent = 0;
    /** {message, retryable} when the upload itself failed. */
    this.problem = null;
    /** What the upload waits for, or null. */
    this.note = null;
    /** The status envelope, or null before the API knows of it. */
    this.job = null;
    /** What the bar shows, and for which attempt. */
    this.percent = 0;
    this.attempt = 0;
    Object.assign(this, values);
  }
}

class Jobs extends EventTarget {
  /** Files added in this tab, newest first. */
  added = [];
  /** Jobs as the API lists them, newest first. */
  history = [];
  /** Cursor of the next page, or null when everything is here. */
  cursor = null;
  /** Whether the first page of the history was read. */
  loaded = false;
  #byId = new Map();
  #number = 0;

  /** Add files that are about to be uploaded; returns their entries, in the files' order. */
  add(files) {
    const entries = files.map((file) => this.#make({ file, size: file.size, phase: "waiting" }));
    this.added.unshift(...[...entries].reverse());
    this.#tell("list");
    return entries;
  }

  /** Take in the job that a link became here. */
  addLink(job) {
    const entry = this.put(job, true);
    if (!this.added.includes(entry)) this.added.unshift(entry);
    if (!this.history.includes(entry)) this.history.unshift(entry);
    this.#tell("list");
  }

  /** Take note of the upload's progress, its end or a problem. */
  change(entry, values) {
    Object.assign(entry, values);
    if (entry.phase === "uploading" && entry.size) {
      const share = (entry.sent / entry.size) * UPLOAD_SHARE;
      entry.percent = Math.max(entry.percent, Math.min(share, UPLOAD_SHARE));
    }
    this.#tell("change", entry);
  }

  /** Connect an added file with the job that the API made for it. */
  bind(entry, jobId) {
    if (this.#byId.has(jobId)) return; // The same submission, answered twice.
    this.#byId.set(jobId, entry);
    entry.job = {
      job_id: jobId,
      state: "PENDING",
      filename: entry.file?.name,
      attempt: 0,
      created_at: new Date().toISOString(),
      meta: { stage: "awaiting_upload", percent: 0 },
    };
    this.history.unshift(entry);
    this.#tell("list");
  }

  /** Take in a status envelope; returns its entry. `direct`: from the job's own address, not from the list. */
  put(job, direct) {
    const entry = this.#byId.get(job.job_id) ?? this.#make({});
    this.#byId.set(job.job_id, entry);
    if (supersedes(entry.job, job, direct)) {
      entry.percent = nextPercent(entry, job);
      entry.attempt = job.attempt ?? 0;
      entry.job = { ...entry.job, ...job };
      // The bytes are surely there: a tab that missed the upload's own answer need not send them again.
      if (job.meta?.stage !== "awaiting_upload" && entry.phase) entry.phase = "sent";
      if (job.state === "SUCCESS") entry.file = null;
      this.#tell("change", entry);
    }
    return entry;
  }

  /** Forget everything, when another user signs in. */
  clear() {
    Object.assign(this, { added: [], history: [], cursor: null, loaded: false });
    this.#byId.clear();
    this.#tell("list");
  }

  /** Read the newest page of the history, or the one after what is here (`more`). Throws ApiError. */
  async load({ more = false } = {}) {
    const after = more && this.cursor ? `&cursor=${encodeURIComponent(this.cursor)}` : "";
    const { data } = await request(`./jobs?limit=${PAGE_SIZE}${after}`);
    const page = data.jobs.map((job) => this.put(job, false));
    const listed = new Set(page);
    const others = this.history.filter((entry) => !listed.has(entry));
    // A fresh first page that touches nothing known leaves a gap behind it: what is older is read anew.
    const gap = this.loaded && !more && others.length === this.history.length;
    this.history = gap ? page : newestFirst([...others, ...page]);
    if (more || gap || !this.loaded) this.cursor = data.next_cursor ?? null;
    this.loaded = true;
    this.#tell("list");
  }

  /** How many known jobs and uploads are under way: {number, more}, `more` where older ones may be, too. */
  get running() {
    const number = [...new Set([...this.added, ...this.history])].filter(isUnderWay).length;
    const oldest = this.history.at(-1);
    return { number, more: this.cursor !== null && oldest !== undefined && isUnderWay(oldest) };
  }

  #make(values) {
    this.#number += 1;
    return new Entry(`entry-${this.#number}`, values);
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

export const jobs = new Jobs();
