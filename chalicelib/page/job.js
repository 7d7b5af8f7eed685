/** One job: how it stands, and how it came to that (`#/jobs/ID`). */

import { request } from "./api.js";
import { Card, titleOf } from "./card.js";
import { el, emptyState, failure, icon, loading } from "./dom.js";
import { between, dollars, duration, moment, number, words } from "./format.js";
import { jobs } from "./jobs.js";
import { watchHistory } from "./polling.js";

/** Fill `root` with the job `id`, which is followed until `signal` aborts. */
export async function openJob(root, id, signal) {
  const address = `./jobs/${encodeURIComponent(id)}`;
  const state = el("div", {}, loading("Reading the job…"));
  root.append(el("a", { class: "back", href: "#/jobs" }, icon("back"), "All jobs"), state);
  try {
    const { data } = await request(address);
    if (signal.aborted) return;
    const entry = jobs.put(data, true);
    const card = new Card(entry);
    const told = el("div", {}, ...details(data));
    let known = data.state;
    jobs.addEventListener(
      "change",
      async ({ detail }) => {
        if (detail !== entry) return;
        card.update();
        if (entry.job.state === known) return;
        known = entry.job.state;
        // What is between two states is on the card; the rest changes with the state. A lost answer is no harm.
        const answer = await request(address).catch(() => null);
        if (answer && !signal.aborted) told.replaceChildren(...details(answer.data));
      },
      { signal },
    );
    document.title = `${titleOf(entry)} · SyncBoard`;
    state.replaceWith(el("h1", { class: "visually-hidden", tabindex: -1, text: titleOf(entry) }), card.node, told);
    root.querySelector("h1").focus();
    watchHistory([entry]);
  } catch (error) {
    if (signal.aborted) return;
    const again = () => {
      root.replaceChildren();
      openJob(root, id, signal);
    };
    const gone = () => emptyState("jobs", "No such job", "It has expired, or it belongs to somebody else.");
    state.replaceChildren(error.status === 404 ? gone() : failure(error, again));
  }
}

function details(job) {
  const took = (from, to) => {
    const seconds = between(from, to);
    return seconds === null ? null : duration(seconds);
  };
  const pairs = [
    ["Id", el("code", { text: job.job_id })],
    ["Task", words(job.task)],
    ["Error", job.error && `${words(job.error.type)}${job.error.retryable ? " (may pass)" : ""}`],
    ["Attempts", job.attempt > 0 && number(job.attempt)],
    ["From submission to end", took(job.created_at, job.finished_at)],
    ["Cost of the last run", job.cost && costOf(job.cost)],
    ["Queue", job.queue],
    ["Worker", job.worker],
    ["Batch", job.batch_id && el("a", { href: `#/jobs?q=${encodeURIComponent(job.batch_id)}`, text: job.batch_id })],
    ["Reported to", job.webhook],
    ["Kept until", job.expires_at && moment(job.expires_at)],
  ].filter(([, value]) => value);
  const line = ({ state, at, attempt, note }) =>
    el(
      "li",
      {},
      el("time", { text: moment(at) }),
      el("span", {}, words(state.toLowerCase()), attempt > 0 && `, attempt ${attempt}`, note && el("span", { class: "muted", text: `: ${note}` })),
    );
  return [
    part("Details", el("dl", { class: "details" }, ...pairs.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", {}, value))))),
    part("Timeline", el("ol", { class: "timeline" }, ...job.timeline.map(line))),
  ];
}

const part = (name, content) => el("section", { class: "part" }, el("h2", { text: name }), content);

/** What it would cost on AWS, and of what. */
function costOf({ dollars: price, gb_seconds: memory, requests }) {
  const total = Object.values(requests).reduce((sum, value) => sum + value, 0);
  return `${dollars(price)} on AWS: ${number(total)} requests, ${memory.toFixed(2)} GB-seconds`;
}
