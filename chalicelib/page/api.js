/**
 * Calls to the API, all relative to the page. Lost connections and refusals that pass (429, 502-504) are retried
 * with backoff; `connection` tells the page about it.
 */

import { session } from "./session.js";

const PASSING = new Set([429, 502, 503, 504]);
const BACKOFF_CAP_SECONDS = 15;

/** An answer that is an error: `type`, `status`, `retryable` and the message for people. */
export class ApiError extends Error {
  constructor(message, { type = "error", status = 0, retryable = false, retryAfter = null } = {}) {
    super(message);
    Object.assign(this, { name: "ApiError", type, status, retryable, retryAfter });
  }
}

/** Event "change"; `lost` says whether the last call failed to reach the server. */
class Connection extends EventTarget {
  lost = false;

  set(lost) {
    if (this.lost === lost) return;
    this.lost = lost;
    this.dispatchEvent(new Event("change"));
  }
}

export const connection = new Connection();

/** Wait. */
export const pause = (seconds) =>
  new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });

/** Seconds before attempt `attempt` + 1 (from 1): 1, 2, 4 … capped, ± 20 % so that tabs don't call in step. */
export function backoff(attempt) {
  return Math.min(2 ** (attempt - 1), BACKOFF_CAP_SECONDS) * (0.8 + Math.random() * 0.4);
}

/**
 * Call the API. Returns {status, data, etag, retryAfter}: `data` is the JSON (null at 204 and 304), `retryAfter`
 * seconds or null. Throws ApiError. Options: `method`, `body` (sent as JSON), `etag` (for If-None-Match), `headers`, `attempts`
 * (how often to try, default 4), `open` (no token is sent), `raw` (`data` is the text as it came).
 */
export async function request(path, options = {}) {
  const attempts = options.attempts ?? 4;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await signedCall(path, options);
    } catch (error) {
      if (!(error instanceof ApiError) || !passing(error) || attempt >= attempts) throw error;
      await pause(error.retryAfter ?? backoff(attempt));
    }
  }
}

/** A key that makes a repeated POST, after a lost answer, the same job and not a second one. */
export function randomKey() {
  // Not crypto.randomUUID: it is missing where a page is served without HTTPS from another machine.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

const passing = (error) => error.type === "connection_lost" || PASSING.has(error.status);

async function signedCall(path, options) {
  const token = options.open ? null : session.token;
  const response = await send(path, options, token);
  if (response.status !== 401 || options.open) return read(response, options);
  if (await session.refused(token)) return read(await send(path, options, session.token), options);
  throw new ApiError("You are signed out. Sign in and try again.", { type: "unauthorized", status: 401 });
}

async function send(path, { method = "GET", body, etag, headers = {} }, token) {
  const all = { Accept: "application/json", ...headers };
  if (token) all.Authorization = `Bearer ${token}`;
  if (etag) all["If-None-Match"] = etag;
  if (body !== undefined) all["Content-Type"] = "application/json";
  const text = body === undefined ? undefined : JSON.stringify(body);
  try {
    const answer = await fetch(path, {
      method,
      headers: all,
      body: text,
      cache: "no-store",
      credentials: "omit",
    });
    connection.set(false);
    return answer;
  } catch {
    connection.set(true);
    throw new ApiError("The server can't be reached.", { type: "connection_lost", retryable: true });
  }
}

async function read(response, { raw = false }) {
  const after = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  const retryAfter = Number.isFinite(after) && after >= 0 ? after : null;
  if (response.status === 304) return { status: 304, data: null, etag: null, retryAfter };
  const { headers } = response;
  if (response.status === 204) return { status: 204, data: null, etag: null, retryAfter };
  if (raw && response.ok) return { status: response.status, data: await response.text(), headers, retryAfter };
  const data = await readJson(response);
  if (!response.ok || data === null) throw asError(response, data, retryAfter);
  return { status: response.status, data, etag: response.headers.get("ETag"), retryAfter };
}

async function readJson(response) {
  try {
    return await response.json();
  } catch {
    return null; // No JSON, or cut off: the caller makes an error of it.
  }
}

function asError(response, data, retryAfter) {
  const { status } = response;
  const told = data?.error;
  if (told?.message) {
    return new ApiError(told.message, {
      type: told.type,
      status,
      retryable: Boolean(told.retryable),
      retryAfter,
    });
  }
  // API Gateway's own errors carry {"message"}; anything else only a status.
  const message = data?.message ?? `The server answered with an error (${status}). Please try again.`;
  return new ApiError(message, { type: "http_error", status, retryable: status >= 500, retryAfter });
}
