/** What can be done about an error: by its type, and by what the job was about. */

/** Errors of jobs whose file never came, or was turned away at the door: the API has nothing to start over. */
export const NOTHING_TO_RETRY = new Set(["upload_missing", "unsupported_type", "empty_file", "not_found"]);

/** What may be different the next time, though the service has stopped trying. */
const PASSED = "The service has stopped trying. The cause may pass: trying again later can help.";
const TIME = "It took longer than a job may. Trying again helps only if the service was very busy.";
const BY_TYPE = {
  attempts_exhausted: PASSED,
  dead_letter: PASSED,
  worker_lost: PASSED,
  soft_time_limit: TIME,
  hard_time_limit: TIME,
  upload_missing: "Add the file again.",
};
const OF_LINKS = {
  attempts_exhausted: "The service has stopped trying. Check the address; if it is right, try again later.",
  source_not_found: "Check the address: there is nothing at it now.",
  source_blocked: "Open it in your browser, save it, and add it as a file.",
  source_refused: "Open it in your browser, save it, and add it as a file.",
  needs_login: "Open it in your browser, save it, and add it as a file.",
  blocked_address: "The service never follows such a link.",
  unsupported_url: "The service can’t follow such a link.",
  too_large: "It is over a limit, and stays so until it gets smaller.",
  too_long: "It is over a limit, and stays so until it gets shorter.",
};

/** Return a sentence about an entry's error, or null where there is nothing to say. */
export function adviceOn({ type, retryable }, { job, problem }) {
  if (retryable) return "This may pass: trying again can help.";
  if (problem || retryable === undefined) return null;
  if (job?.task === "process_url_upload") {
    return OF_LINKS[type] ?? BY_TYPE[type] ?? "Trying again helps only once what the link leads to has changed.";
  }
  if (BY_TYPE[type]) return BY_TYPE[type];
  return job?.filename ? "Trying again with the same file won’t help." : null;
}
