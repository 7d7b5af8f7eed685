/** A topic's name that can be changed in its place. */

import { request } from "./api.js";
import { announce, button, el, icon, setText } from "./dom.js";

const MAX_NAME = 120;

/**
 * Make the heading of a topic with its pen. `level` is "h1" or "h2"; `href` makes the name a link. `renamed(cluster)`
 * is told of the new name.
 */
export function topicName(cluster, { level, href = null, renamed = () => {} }) {
  const name = href ? el("a", { href, text: cluster.name }) : el("span", { text: cluster.name });
  const heading = el(level, { tabindex: level === "h1" ? -1 : null, class: "topic-title" }, name);
  const pen = el(
    "button",
    { class: "button quiet square", type: "button", "aria-label": `Rename ${cluster.name}`, title: "Rename" },
    icon("edit"),
  );
  const shown = el("div", { class: "topic-name" }, heading, pen);
  const box = el("div", { class: "topic-head" }, shown);

  pen.addEventListener("click", () => {
    const form = nameForm(cluster, (changed) => {
      box.replaceChildren(shown);
      if (changed) {
        Object.assign(cluster, changed);
        setText(name, changed.name);
        pen.setAttribute("aria-label", `Rename ${changed.name}`);
        announce(`Renamed to ${changed.name}.`);
        renamed(changed);
      }
      pen.focus();
    });
    box.replaceChildren(form);
    form.querySelector("input").select();
  });
  return box;
}

/** `done` gets the cluster as it is now, or null where nothing was changed. */
function nameForm(cluster, done) {
  const input = el("input", {
    type: "text",
    value: cluster.name,
    maxlength: MAX_NAME,
    required: true,
    "aria-label": "Name of the topic",
    autocomplete: "off",
  });
  const problem = el("p", { class: "field-error", role: "alert", hidden: true });
  const save = el("button", { class: "button primary small", type: "submit", text: "Save" });
  const submit = async (event) => {
    event.preventDefault();
    save.disabled = true;
    try {
      const { data } = await request(`./clusters/${encodeURIComponent(cluster.cluster_id)}`, {
        method: "PUT",
        body: { name: input.value },
      });
      done(data);
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      save.disabled = false;
      input.focus();
    }
  };
  const escape = (event) => {
    if (event.key === "Escape") done(null);
  };
  return el(
    "form",
    { class: "name-form", on: { submit, keydown: escape } },
    input,
    save,
    button("Cancel", () => done(null), { kind: "small" }),
    problem,
  );
}
