/** Ideas: what could be built with what the library holds; made by a job, kept as its result. */

import { request } from "./api.js";
import { button, choice, el, emptyState, failure, loading } from "./dom.js";
import { relativeTime } from "./format.js";
import { ideaCard } from "./idea.js";
import { isFinal } from "./jobs.js";
import { JobPanel, outcomeOf, submitJob } from "./job_panel.js";

export const title = "Ideas";

const TASK = "generate_build_suggestions";
const NUMBERS = [3, 5, 10];

/** Fill `root`; returns what undoes it. */
export function open(root) {
  const stop = new AbortController();
  const isOpen = () => !stop.signal.aborted;
  let wanted = "5";
  const state = el("div", {}, loading("Looking for earlier ideas…"));
  const numbers = NUMBERS.map((one) => [String(one), `Up to ${one}`]);
  const number = choice("Ideas", numbers, wanted, (value) => {
    wanted = value;
  });
  const ask = button("What can I build?", () => make(), { kind: "primary", symbol: "idea" });

  async function make() {
    await show(() => submitJob("./what_can_i_build", { max_suggestions: Number(wanted) }), make);
  }

  /** Show a job to its end and then its result; `again` is what "Try again" does. */
  async function show(begin, again) {
    ask.disabled = true;
    const panel = new JobPanel("Ideas");
    state.replaceChildren(panel.node);
    try {
      const ended = await outcomeOf(await begin(), panel, isOpen);
      if (ended) state.replaceChildren(...ideas(ended));
    } catch (error) {
      if (isOpen()) state.replaceChildren(failure(error, again));
    } finally {
      ask.disabled = false;
    }
  }

  async function readLast() {
    try {
      const { data } = await request(`./jobs?task=${TASK}&limit=10`);
      if (!isOpen()) return;
      const running = data.jobs.find((job) => !isFinal(job.state));
      const last = data.jobs.find((job) => job.state === "SUCCESS");
      if (running) await show(() => running, make);
      else state.replaceChildren(...(last ? ideas(last) : [nothingYet()]));
    } catch (error) {
      if (isOpen()) state.replaceChildren(failure(error, readLast));
    }
  }

  root.append(
    el(
      "header",
      { class: "page-head" },
      el("h1", { tabindex: -1, text: "Ideas" }),
      el("p", {
        class: "lead",
        text: "Projects that your own documents support, each with the documents that speak for it.",
      }),
    ),
    el("div", { class: "toolbar" }, ask, number),
    state,
  );
  readLast();
  return () => stop.abort();
}

function nothingYet() {
  return emptyState(
    "idea",
    "No ideas yet",
    "Press the button: they are made from the concepts and topics of your documents, within seconds.",
  );
}

function ideas({ result, finished_at: at }) {
  const { suggestions = [], reasons = [], next_steps: steps = [], gaps = [], method } = result ?? {};
  if (!suggestions.length) return [nothingFound(reasons, steps)];
  return [
    el(
      "p",
      { class: "facts" },
      relativeTime(at),
      method && el("span", { text: method === "offline" ? "made without an AI model" : `made with ${method}` }),
    ),
    el("ol", { class: "ideas" }, ...suggestions.map((one) => el("li", {}, ideaCard(one)))),
    gapPart(gaps),
  ].filter(Boolean);
}

function nothingFound(reasons, steps) {
  const list = steps.length > 0 && el("ul", { class: "plain-list" }, ...steps.map((text) => el("li", { text })));
  return emptyState(
    "idea",
    "Nothing to build on yet",
    reasons.join(" ") || "The documents do not support a project yet.",
    list || "",
    el("a", { class: "button", href: "#/add", text: "Add a file" }),
  );
}

function gapPart(gaps) {
  if (!gaps.length) return null;
  const line = ({ concept, mentioned_in: number }) =>
    el("li", { class: "chip" }, concept, el("span", { class: "chip-note", text: ` ${number}` }));
  return el(
    "section",
    { class: "part" },
    el("h2", { text: "Often mentioned, never explained" }),
    el("p", { class: "muted", text: "Concepts that many of your documents mention and hardly one is about." }),
    el("ul", { class: "chips" }, ...gaps.map(line)),
  );
}
