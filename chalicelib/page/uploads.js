/**
 * From a File to a job: ask for an upload, post the file to where the answer says, follow the job.
 */

import { ApiError, backoff, pause, randomKey, request } from "./api.js";
import { announce } from "./dom.js";
import { bytes, count } from "./format.js";
import { jobs } from "./jobs.js";
import { watch } from "./polling.js";

const AT_ONCE = 3;
const ATTEMPTS = 4;
/** Between two questions whether there is room again. */
const FULL_SECONDS = 15;
const BUSY = new Set(["waiting", "preparing", "uploading"]);

const queue = [];
let active = 0;

/** Add files: each becomes an entry at once and is uploaded when its turn comes. */
export function submit(files, password = null) {
  const entries = jobs.add([...files]);
  if (entries.length) announce(`${count(entries.length, "file")} added.`);
  queue.push(...entries.map((entry) => ({ entry, password })));
  advance();
}

/** Have a link read: a page, a file, a film. Throws ApiError where it is refused. */
export async function submitLink(url) {
  const { data } = await request("./upload", {
    method: "POST",
    body: { url },
    headers: { "Idempotency-Key": randomKey() },
  });
  jobs.addLink(data);
  announce("Link added.");
  watch(data.job_id);
}

/**
 * Send an entry's file once more: as a new job, since the old one has ended or never began. `password` opens an
 * encrypted file; it goes with the request and is not kept.
 */
export function resubmit(entry, password = null) {
  if (!entry.file) return;
  const at = jobs.added.indexOf(entry);
  if (at >= 0) jobs.added.splice(at, 1);
  submit([entry.file], password);
}

/** Whether leaving the page now would lose an upload. */
export const isUploading = () => jobs.added.some((entry) => BUSY.has(entry.phase));

/** Drop what has not been sent yet, when the user signs out. */
export function forgetUploads() {
  queue.length = 0;
}

function advance() {
  while (active < AT_ONCE && queue.length) {
    active += 1;
    upload(queue.shift()).finally(() => {
      active -= 1;
      advance();
    });
  }
}

async function upload({ entry, password }) {
  try {
    if (entry.size === 0) throw new ApiError("The file is empty.", { type: "empty_file" });
    jobs.change(entry, { phase: "preparing" });
    const ticket = await admitted(entry, password);
    jobs.bind(entry, ticket.job_id);
    const limit = ticket.upload.max_bytes;
    if (limit && entry.size > limit) throw tooLarge(limit);
    await deliver(entry, ticket.upload);
    jobs.change(entry, { phase: "sent", note: null });
    watch(ticket.job_id);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    jobs.change(entry, {
      phase: "stopped",
      note: null,
      problem: { message: error.message, retryable: error.retryable },
    });
    announce(`${entry.file.name} was not uploaded. ${error.message}`);
  }
}

/** Ask for the upload. While too many of one's jobs wait already, so does this one: a folder may hold more. */
async function admitted(entry, password) {
  for (;;) {
    try {
      return await register(entry.file, password);
    } catch (error) {
      if (error.status !== 429) throw error;
      jobs.change(entry, { note: "Many of your files wait to be read: the upload goes on as they are done" });
      await pause(error.retryAfter ?? FULL_SECONDS);
    }
  }
}

async function register(file, password) {
  const body = {
    filename: file.name,
    size: file.size,
    content_type: file.type || "application/octet-stream",
    password: password ?? undefined,
  };
  // The key makes a repeated request after a lost answer the same job, not a second one.
  const { data } = await request("./uploads", {
    method: "POST",
    body,
    headers: { "Idempotency-Key": randomKey() },
  });
  return data;
}

/** Post the file; a lost connection is tried again (a second arrival of the same upload does no harm). */
async function deliver(entry, target) {
  for (let attempt = 1; ; attempt += 1) {
    jobs.change(entry, { phase: "uploading", sent: 0, note: null });
    try {
      return await post(entry, target);
    } catch (error) {
      if (!error.retryable || attempt >= ATTEMPTS || error.type === "upload_expired") throw error;
      jobs.change(entry, { note: `${error.message} Trying again…` });
      await pause(backoff(attempt));
    }
  }
}

/** One multipart POST. XMLHttpRequest, because fetch can't report how much was sent. */
function post(entry, { url, fields }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", entry.file, entry.file.name); // S3 ignores every field after the file.
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.upload.addEventListener("progress", ({ loaded, total }) => {
      // `loaded` counts the form's other parts too: scale it to the file.
      const sent = total > 0 ? Math.min(entry.size, (loaded / total) * entry.size) : 0;
      jobs.change(entry, { sent });
    });
    xhr.addEventListener("load", () =>
      xhr.status >= 200 && xhr.status < 300 ? resolve() : reject(refusal(xhr)),
    );
    xhr.addEventListener("error", () => reject(interrupted()));
    xhr.addEventListener("abort", () => reject(interrupted()));
    xhr.open("POST", url);
    xhr.send(form);
  });
}

const interrupted = () =>
  new ApiError("The connection was lost during the upload, or the file changed or can't be read.", {
    type: "connection_lost",
    retryable: true,
  });

const tooLarge = (limit) =>
  new ApiError(`The file is larger than ${limit ? bytes(limit) : "allowed"}.`, {
    type: "too_large",
    status: 413,
  });

/** What a refused upload means. S3 explains in XML, a gateway in JSON, a proxy not at all. */
function refusal(xhr) {
  const code = xhr.responseXML?.querySelector("Code")?.textContent ?? "";
  const told = xhr.responseXML?.querySelector("Message")?.textContent ?? messageOf(xhr.responseText);
  if (code === "EntityTooLarge" || xhr.status === 413) {
    return tooLarge(Number(xhr.responseXML?.querySelector("MaxSizeAllowed")?.textContent) || null);
  }
  if (code === "ExpiredToken" || /expired/i.test(told)) {
    return new ApiError("The permission to upload has expired before the file was sent.", {
      type: "upload_expired",
      status: xhr.status,
      retryable: true,
    });
  }
  const reason = [told, code && `(${code})`].filter(Boolean).join(" ") || `status ${xhr.status}`;
  return new ApiError(`The storage refused the file: ${reason}`, {
    status: xhr.status,
    retryable: xhr.status >= 500,
  });
}

function messageOf(text) {
  try {
    return JSON.parse(text)?.error?.message ?? "";
  } catch {
    return ""; // Not JSON: nothing to quote.
  }
}

window.addEventListener("beforeunload", (event) => {
  if (isUploading()) event.preventDefault();
});
