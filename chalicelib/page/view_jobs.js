/** Jobs: everything that was submitted, newest first. */

import { CardList } from "./card.js";
import { button, el, emptyState, notice } from "./dom.js";
import { jobs } from "./jobs.js";
import { watchHistory } from "./polling.js";

export const title = "Jobs";

/** Fill `root`; returns what undoes it. */
export function open(root) {
  const state = el("div");
  const list = new CardList(() => jobs.history);
  const more = button("Load more", () => read({ more: true }), { kind: "wide" });
  const refresh = button("Refresh", () => read({}), { kind: "quiet small", symbol: "retry" });
  root.append(
    el("header", { class: "page-head with-action" }, el("h1", { tabindex: -1, text: "Jobs" }), refresh),
    state,
    list.node,
    more,
  );

  const show = () => {
    more.hidden = !jobs.cursor;
    if (!jobs.loaded)
      state.replaceChildren(el("p", { class: "loading", role: "status", text: "Reading the jobs…" }));
    else if (!jobs.history.length) state.replaceChildren(nothingYet());
    else state.replaceChildren();
  };
  async function read(options) {
    more.disabled = refresh.disabled = true;
    try {
      await jobs.load(options);
      watchHistory();
      show();
    } catch (error) {
      state.replaceChildren(
        notice(
          "error",
          error.message,
          button("Try again", () => read(options), { kind: "small" }),
        ),
      );
    } finally {
      more.disabled = refresh.disabled = false;
    }
  }

  jobs.addEventListener("list", show);
  show();
  read({});
  return () => {
    jobs.removeEventListener("list", show);
    list.close();
  };
}

function nothingYet() {
  return emptyState(
    "jobs",
    "No jobs yet",
    "Each file that you add becomes a job. It shows up here and stays for 30 days.",
    el("a", { class: "button", href: "#/add", text: "Add a file" }),
  );
}
