/** One topic: its name, its concepts, its documents; export and deletion. */

import { request } from "./api.js";
import { conceptChips } from "./chips.js";
import { confirmed } from "./dialog.js";
import { documentRow } from "./document_rows.js";
import { downloadCluster } from "./download.js";
import { announce, button, el, emptyState, failure, icon, loading } from "./dom.js";
import { count } from "./format.js";
import { JobPanel, outcomeOf, submitJob } from "./job_panel.js";
import { PagedList } from "./paging.js";
import { topicName } from "./topic_name.js";

const PAGE_SIZE = 25;

/** Fill `root` with the topic `id`. */
export async function openTopic(root, id, isOpen) {
  const address = `./clusters/${encodeURIComponent(id)}`;
  const state = el("div", {}, loading("Reading the topic…"));
  root.append(el("a", { class: "back", href: "#/topics" }, icon("back"), "All topics"), state);
  try {
    const { data } = await request(`${address}?limit=${PAGE_SIZE}`);
    if (!isOpen()) return;
    state.replaceChildren(...topicParts(data, address, isOpen));
    showTitle(data);
    root.querySelector("h1").focus();
  } catch (error) {
    if (!isOpen()) return;
    const again = () => {
      root.replaceChildren();
      openTopic(root, id, isOpen);
    };
    state.replaceChildren(error.status === 404 ? noSuchTopic() : failure(error, again));
  }
}

function showTitle({ name }) {
  document.title = `${name} · Topics · SyncBoard`;
}

const noSuchTopic = () =>
  emptyState(
    "cluster",
    "No such topic",
    "Its documents were deleted or regrouped, or it belongs to somebody else.",
    el("a", { class: "button", href: "#/topics", text: "All topics" }),
  );

function topicParts(cluster, address, isOpen) {
  let first = cluster;
  const list = new PagedList({
    isOpen,
    waiting: "Reading its documents…",
    nothing: () => el("p", { class: "muted", text: "No document is in this topic." }),
    async read(cursor) {
      // The first page came with the topic.
      const page = first ?? (await request(`${address}?limit=${PAGE_SIZE}&cursor=${encodeURIComponent(cursor)}`)).data;
      first = null;
      return { items: page.documents.map((item) => documentRow(item)), cursor: page.next_cursor };
    },
  });
  list.restart();
  const takeApart = deletion(cluster, address, isOpen);
  return [
    el(
      "header",
      { class: "page-head" },
      topicName(cluster, { level: "h1", renamed: showTitle }),
      el(
        "p",
        { class: "facts" },
        el("span", { text: count(cluster.size, "document") }),
        cluster.named_by_user && el("span", { text: "named by you" }),
        el("a", { href: `#/search?${new URLSearchParams({ cluster: cluster.cluster_id })}`, text: "Search in it" }),
      ),
    ),
    el("div", { class: "toolbar" }, ...exports(cluster), takeApart.button),
    takeApart.state,
    cluster.concepts.length > 0 &&
      el(
        "section",
        { class: "part" },
        el("h2", { text: "Concepts" }),
        conceptChips(cluster.concepts, { linked: true }),
      ),
    el("section", { class: "part" }, el("h2", { text: "Documents" }), list.node),
  ].filter(Boolean);
}

function exports(cluster) {
  const problem = el("p", { class: "field-error", role: "alert", hidden: true });
  const save = (format, ending, label) => {
    const pressed = button(
      label,
      async () => {
        pressed.disabled = true;
        problem.hidden = true;
        try {
          await downloadCluster(cluster.cluster_id, format, `${fileName(cluster.name)}.${ending}`);
        } catch (error) {
          problem.textContent = error.message;
          problem.hidden = false;
        } finally {
          pressed.disabled = false;
        }
      },
      { kind: "small", symbol: "download" },
    );
    return pressed;
  };
  return [save("markdown", "md", "Markdown"), save("json", "json", "JSON"), problem];
}

/** The button that has the topic taken apart, which is a job: its documents move one by one. */
function deletion(cluster, address, isOpen) {
  const state = el("div");
  const pressed = button(
    "Take apart…",
    async () => {
      let job = null;
      const sure = await confirmed({
        title: `Take “${cluster.name}” apart?`,
        parts: [
          el("p", {
            text:
              `No document is deleted: its ${count(cluster.size, "document")} join the topics that they are next most ` +
              "like, or “Other” if they are like none. The topic and its name are gone.",
          }),
        ],
        action: "Take apart",
        run: async () => {
          job = await submitJob(address, {}, "DELETE");
        },
      });
      if (!sure) return;
      pressed.disabled = true;
      const panel = new JobPanel("Taking the topic apart");
      state.replaceChildren(panel.node);
      try {
        const done = await outcomeOf(job, panel, isOpen);
        if (!done) return;
        announce(`${cluster.name} is taken apart: ${count(done.result.moved, "document")} moved.`);
        location.hash = "#/topics";
      } catch (error) {
        if (isOpen()) state.replaceChildren(failure(error, () => pressed.click()));
        pressed.disabled = false;
      }
    },
    { kind: "quiet small", symbol: "trash" },
  );
  return { button: pressed, state };
}

/** A name that every file system takes. */
const fileName = (name) => name.replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-|-$/g, "").slice(0, 60) || "topic";
