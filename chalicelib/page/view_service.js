/** Service: how the installation works just now, and one's own failed jobs with a way to start them all over. */

import { pause, request } from "./api.js";
import { barChart } from "./charts.js";
import { titleOf } from "./card.js";
import { confirmed } from "./dialog.js";
import { announce, button, el, failure, loading, notice, segments } from "./dom.js";
import { bytes, count, duration, number, percent, relativeTime } from "./format.js";
import { jobs } from "./jobs.js";
import { watchHistory } from "./polling.js";

export const title = "Service";
export const wide = true;

const PERIODS = [
  ["1", "Hour"],
  ["6", "6 hours"],
  ["24", "24 hours"],
];
const EVERY_SECONDS = 5;
const FAILURES = 10;
const KINDS = [
  { name: "Succeeded", look: "done", state: "SUCCESS" },
  { name: "Failed", look: "failed", state: "FAILURE" },
  { name: "Cancelled", look: "idle", state: "REVOKED" },
];
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** Fill `root`; returns what undoes it. */
export function open(root) {
  const stop = new AbortController();
  const isOpen = () => !stop.signal.aborted;
  let hours = "1";
  let turn = 0;
  const state = el("div", {}, loading("Reading the figures…"));
  const failed = el("section", { class: "panel whole", "aria-label": "Your failed jobs" }, loading("Reading failed jobs…"));

  /** Read again and again while the section is looked at; a hidden tab waits until it is seen. */
  async function follow() {
    turn += 1;
    const mine = turn;
    const isCurrent = () => isOpen() && mine === turn;
    let shown = "";
    while (isCurrent()) {
      if (!document.hidden) {
        try {
          const { data } = await request(`./stats?hours=${hours}`);
          if (!isCurrent()) return;
          const key = JSON.stringify({ ...data, as_of: null });
          if (key !== shown) state.replaceChildren(...panels(data));
          shown = key;
        } catch (error) {
          if (!isCurrent()) return;
          if (error.status === 404) {
            state.replaceChildren(notice("info", error.message));
            return;
          }
          state.replaceChildren(failure(error, follow));
          return;
        }
      }
      await pause(EVERY_SECONDS);
    }
  }

  root.append(
    el(
      "header",
      { class: "page-head" },
      el("h1", { tabindex: -1, text: "Service" }),
      el("p", { class: "lead", text: "All users’ work in figures, as it goes on." }),
    ),
    segments("Period", PERIODS, hours, (value) => {
      hours = value;
      follow();
    }),
    state,
    el("div", { class: "panels" }, failed),
  );
  follow();
  showFailures(failed, isOpen);
  return () => stop.abort();
}

function panels(data) {
  const { totals } = data;
  const figure = (name, value, note) =>
    el("div", { class: "figure" }, el("dt", { text: name }), el("dd", {}, value, el("span", { class: "figure-note", text: note })));
  const rate = totals.success_rate === null ? "–" : percent(totals.success_rate);
  const attempts = totals.executions_per_job;
  return [
    el(
      "dl",
      { class: "figures" },
      figure("Waiting", number(data.queues.reduce((sum, { waiting }) => sum + waiting, 0)), "messages in all queues"),
      figure("At work", number(data.workers.reduce((sum, { busy }) => sum + busy, 0)), count(data.workers.length, "worker")),
      figure("Ended", number(totals.ended), `${number(totals.states.FAILURE)} failed`),
      figure("Success", rate, attempts ? `${Number(attempts.toFixed(2))} attempts a job` : "nothing has ended"),
    ),
    panel("Ended over time", "whole", endedChart(data)),
    el(
      "div",
      { class: "panels" },
      panel("Queues", "whole", queueTable(data.queues)),
      panel("Workers", "whole", workerTable(data.workers)),
      panel("Tasks", "whole", taskTable(data.tasks)),
    ),
  ];
}

const panel = (name, kind, content) => el("section", { class: `panel ${kind}` }, el("h2", { text: name }), content);

function endedChart({ time_series: spans, span_minutes: minutes }) {
  const time = (iso) => TIME.format(new Date(iso));
  const bars = spans.map((span) => ({
    name: minutes > 1 ? `${count(minutes, "minute")} from ${time(span.at)}` : time(span.at),
    values: KINDS.map(({ state }) => span[state]),
    told: KINDS.map(({ name, state }) => `${number(span[state])} ${name.toLowerCase()}`).join(", "),
  }));
  return barChart(bars, { label: "Jobs that ended", kinds: KINDS, ends: [time(spans[0].at), time(spans.at(-1).at)] });
}

function table(heads, rows) {
  const head = heads.map((text) => el("th", { scope: "col", text }));
  const line = ([first, ...others]) => {
    const cells = others.map((cell) =>
      typeof cell === "object" ? el("td", { class: cell.alarm ? "alarm" : null, text: cell.text }) : el("td", { text: cell }),
    );
    return el("tr", {}, el("th", { scope: "row", text: first }), ...cells);
  };
  return el(
    "div",
    { class: "table-box", tabindex: 0, role: "region", "aria-label": heads[0] },
    el("table", { class: "table" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows.map(line))),
  );
}

function queueTable(queues) {
  return table(
    ["Queue", "Waiting", "In flight", "Delayed", "Dead letters"],
    queues.map((one) => [
      one.queue,
      number(one.waiting),
      number(one.in_flight),
      number(one.delayed),
      { text: number(one.dead_letters), alarm: one.dead_letters > 0 },
    ]),
  );
}

function workerTable(workers) {
  if (!workers.length) return el("p", { class: "field-error", text: "No worker has reported itself: nothing is being worked on." });
  return table(
    ["Works on", "Busy", "Idle", "Jobs done", "Memory", "Since"],
    workers.map((one) => [
      one.queues.join(", "),
      number(one.busy),
      number(one.idle),
      number(one.jobs_done),
      bytes(one.memory_bytes),
      one.started_at ? TIME.format(new Date(one.started_at)) : "",
    ]),
  );
}

function taskTable(tasks) {
  if (!tasks.length) return el("p", { class: "muted", text: "Nothing has ended in this period." });
  const seconds = (value) => (value === null ? "–" : duration(value));
  return table(
    ["Task", "Ended", "Failed", "Success", "Waited", "Ran, median", "Ran, 95 %"],
    tasks.map((one) => [
      one.task,
      number(one.ended),
      { text: number(one.states.FAILURE), alarm: one.states.FAILURE > 0 },
      one.success_rate === null ? "–" : percent(one.success_rate),
      seconds(one.wait_seconds_mean),
      seconds(one.run_seconds_median),
      seconds(one.run_seconds_p95),
    ]),
  );
}

/** One's own failed jobs, newest first, with a button that starts all of them over. */
async function showFailures(box, isOpen) {
  const again = () => showFailures(box, isOpen);
  try {
    const { data } = await request(`./jobs?state=FAILURE&limit=${FAILURES}`);
    if (!isOpen()) return;
    const retry = button(data.next_cursor ? "Retry all failed" : `Retry all ${data.jobs.length}`, () => retryAll(again), {
      kind: "small",
      symbol: "retry",
    });
    box.replaceChildren(
      el("div", { class: "with-action" }, el("h2", { text: "Your failed jobs" }), data.jobs.length > 0 && retry),
      data.jobs.length
        ? el("ul", { class: "failures" }, ...data.jobs.map(failureLine))
        : el("p", { class: "muted", text: "None of your jobs has failed." }),
      data.next_cursor
        ? el("p", {}, `These are the newest ${data.jobs.length}. `, el("a", { href: "#/jobs?state=FAILURE", text: "All failed jobs" }))
        : "",
    );
  } catch (error) {
    if (isOpen()) box.replaceChildren(failure(error, again));
  }
}

function failureLine(job) {
  const hint = job.error?.retryable ? " (trying again may help)" : "";
  const address = `#/jobs/${encodeURIComponent(job.job_id)}`;
  return el(
    "li",
    {},
    el("span", {}, el("a", { href: address, text: titleOf({ job }) }), relativeTime(job.finished_at)),
    el("p", { text: `${job.meta?.error ?? job.error?.message ?? "It failed without saying why."}${hint}` }),
  );
}

async function retryAll(done) {
  let retried = 0;
  const refused = [];
  const sure = await confirmed({
    title: "Start all failed jobs over?",
    parts: [
      el("p", {
        text: "Each is worked on again from its beginning. Those with broken or locked files will most likely fail again.",
      }),
    ],
    action: "Retry all failed",
    async run() {
      let cursor = null;
      do {
        const body = { state: "FAILURE", limit: 100, ...(cursor && { cursor }) };
        const { data } = await request("./jobs/retry", { method: "POST", body });
        retried += data.retried.length;
        refused.push(...data.errors);
        cursor = data.next_cursor;
      } while (cursor);
    },
  });
  if (!sure) return;
  announce(`${count(retried, "job")} started over${refused.length ? `, ${refused.length} refused` : ""}.`);
  await jobs.load().then(watchHistory, () => {});
  done();
}
