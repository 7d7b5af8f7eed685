/** Topics: what the library is about; one of them with its documents (`#/topics/ID`). */

import { request } from "./api.js";
import { conceptChips } from "./chips.js";
import { choice, el, emptyState, setText } from "./dom.js";
import { count, number } from "./format.js";
import { jobButton, submitJob } from "./job_panel.js";
import { PagedList } from "./paging.js";
import { openTopic } from "./topic.js";
import { topicName } from "./topic_name.js";

export const title = "Topics";

const PAGE_SIZE = 30;
const CHIPS = 6;

/** Fill `root` with the list, or with the topic whose id is the first of `parameters`. */
export function open(root, [id]) {
  const stop = new AbortController();
  const isOpen = () => !stop.signal.aborted;
  if (id) openTopic(root, id, isOpen);
  else openList(root, isOpen);
  return () => stop.abort();
}

function openList(root, isOpen) {
  let sort = "largest";
  const shown = el("span", { class: "head-count" });
  const list = new PagedList({
    isOpen,
    kind: "tiles",
    waiting: "Reading the topics…",
    nothing: nothingYet,
    async read(cursor) {
      const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
      const { data } = await request(`./clusters?sort=${sort}&limit=${PAGE_SIZE}${after}`);
      const known = (cursor ? list.list.childElementCount : 0) + data.clusters.length;
      setText(shown, known ? `${number(known)}${data.next_cursor ? "+" : ""}` : "");
      return { items: data.clusters.map(tile), cursor: data.next_cursor };
    },
  });
  const sorts = [
    ["largest", "Largest first"],
    ["newest", "Newest first"],
  ];
  const order = choice("", sorts, sort, (value) => {
    sort = value;
    list.restart();
  }, { "aria-label": "Order" });
  const regroup = jobButton("Regroup now", {
    name: "Regrouping",
    symbol: "cluster",
    isOpen,
    begin: () => submitJob("./clusters/compact"),
    ended: ({ result }) => {
      list.restart();
      const { documents, moved, clusters_after: topics } = result;
      return `${number(moved)} of ${count(documents, "document")} moved; there are ${count(topics, "topic")} now.`;
    },
  });
  root.append(
    el(
      "header",
      { class: "page-head" },
      el(
        "div",
        { class: "with-action" },
        el("h1", { tabindex: -1 }, "Topics", shown),
        el("div", { class: "actions" }, order, regroup.button),
      ),
      el("p", {
        class: "lead",
        text: "Documents that are about the same thing. A name that you give stays, also when they are regrouped.",
      }),
    ),
    regroup.state,
    list.node,
  );
  list.restart();
}

function tile(cluster) {
  const href = `#/topics/${encodeURIComponent(cluster.cluster_id)}`;
  return el(
    "li",
    { class: "tile" },
    topicName(cluster, { level: "h2", href }),
    el(
      "p",
      { class: "facts" },
      el("span", { text: count(cluster.size, "document") }),
      cluster.named_by_user && el("span", { text: "named by you" }),
    ),
    conceptChips(cluster.concepts, { limit: CHIPS, linked: true }),
  );
}

function nothingYet() {
  return emptyState(
    "cluster",
    "No topics yet",
    "They form by themselves as documents arrive.",
    el("a", { class: "button", href: "#/add", text: "Add a file" }),
  );
}
