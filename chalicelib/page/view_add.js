/** Add: drop, choose or paste files; the samples; what was added in this tab. */

import { CardList } from "./card.js";
import { announce, button, el, icon } from "./dom.js";
import { jobs } from "./jobs.js";
import { session } from "./session.js";
import { submit, submitLink } from "./uploads.js";

export const title = "Add";

/** Fill `root`; returns what undoes it. */
export function open(root) {
  const problem = el("p", { class: "field-error", role: "alert", hidden: true });
  const complain = (message) => {
    problem.hidden = !message;
    problem.textContent = message ?? "";
  };
  const input = el("input", { type: "file", multiple: true, id: "files", class: "visually-hidden" });
  const zone = dropZone(input);
  const samples = session.samples.length > 0 && samplesRow(complain);
  const list = new CardList(() => jobs.added);
  const added = el(
    "section",
    { "aria-labelledby": "added-title" },
    el("h2", { id: "added-title", text: "Added just now" }),
    list.node,
  );
  root.append(
    el(
      "header",
      { class: "page-head" },
      el("h1", { tabindex: -1, text: "Add to your knowledge bank" }),
      el("p", { class: "lead", text: "Files go in; text, concepts and topics come out." }),
    ),
    zone,
    linkForm(complain),
    problem,
    samples || "",
    added,
  );

  const take = (files) => {
    complain(null);
    submit(files);
  };
  input.addEventListener("change", () => {
    take(input.files);
    input.value = ""; // So that the same file can be chosen again.
  });
  const showAdded = () => {
    added.hidden = jobs.added.length === 0;
  };
  jobs.addEventListener("list", showAdded);
  showAdded();
  const undo = [
    listenForDrops(zone, take, complain),
    listenForPaste(take, complain),
    () => list.close(),
    () => jobs.removeEventListener("list", showAdded),
  ];
  return () => undo.forEach((run) => run());
}

function dropZone(input) {
  return el(
    "label",
    { class: "drop", for: "files" },
    input,
    el("span", { class: "drop-symbol" }, icon("upload")),
    el(
      "span",
      { class: "drop-title" },
      "Drop files here or ",
      el("span", { class: "drop-link", text: "choose files" }),
    ),
    el("span", { class: "drop-hint", text: "Documents, scans, photos, recordings, films, mails, code, ZIP archives. You can also paste." }),
  );
}

function linkForm(complain) {
  const input = el("input", {
    type: "url",
    id: "link",
    name: "link",
    placeholder: "https://…",
    required: true,
    "aria-label": "Link to a page, a file or a film",
  });
  const send = el("button", { class: "button", type: "submit", text: "Add link" });
  const submitted = async (event) => {
    event.preventDefault();
    send.disabled = true;
    complain(null);
    try {
      await submitLink(input.value.trim());
      input.value = "";
    } catch (error) {
      complain(error.message);
    } finally {
      send.disabled = false;
    }
  };
  return el("form", { class: "link-form", on: { submit: submitted } }, input, send);
}

function samplesRow(complain) {
  const run = button(
    "Try the samples",
    async () => {
      run.disabled = true;
      try {
        submit(await Promise.all(session.samples.map(fetchSample)));
        complain(null);
      } catch (error) {
        complain(error.message);
      } finally {
        run.disabled = false;
      }
    },
    { symbol: "document" },
  );
  const names = session.samples.map(({ name }) => name).join(", ");
  return el(
    "div",
    { class: "samples" },
    run,
    el("p", { class: "samples-names", text: `Nothing at hand? ${names}` }),
  );
}

async function fetchSample({ name, url }) {
  const response = await fetch(url, { credentials: "omit" }).catch(() => null);
  if (!response?.ok) throw new Error(`The sample ${name} can't be read just now. Please try again.`);
  const content = await response.blob();
  return new File([content], name, { type: content.type });
}

/** The whole window takes drops: nobody has to aim, and a miss does not open the file instead of the page. */
function listenForDrops(zone, take, complain) {
  let depth = 0;
  const highlight = (change) => {
    depth = Math.max(0, depth + change);
    zone.classList.toggle("over", depth > 0);
  };
  const handlers = {
    dragenter: () => highlight(1),
    dragleave: () => highlight(-1),
    dragover: (event) => event.preventDefault(),
    drop: (event) => {
      event.preventDefault();
      highlight(-depth);
      const { files, folders } = split(event.dataTransfer);
      if (files.length) take(files);
      if (folders) complain("A folder can’t be added. Open it and drop the files in it.");
    },
  };
  Object.entries(handlers).forEach(([type, run]) => window.addEventListener(type, run));
  return () => Object.entries(handlers).forEach(([type, run]) => window.removeEventListener(type, run));
}

function split(transfer) {
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const isFolder = (item) => item.webkitGetAsEntry?.()?.isDirectory ?? false;
  const files = items
    .filter((item) => !isFolder(item))
    .map((item) => item.getAsFile())
    .filter(Boolean);
  return { files, folders: items.some(isFolder) };
}

function listenForPaste(take, complain) {
  const onPaste = (event) => {
    const { files } = event.clipboardData;
    const text = event.clipboardData.getData("text/plain").trim();
    if (files.length) take(files);
    else if (/^https?:\/\/\S+$/.test(text))
      complain("That is a link. Only files and text can be pasted here.");
    else if (text) take([pastedText(text)]);
    else return;
    event.preventDefault();
    if (!files.length && text) announce("Pasted text.");
  };
  document.addEventListener("paste", onPaste);
  return () => document.removeEventListener("paste", onPaste);
}

function pastedText(text) {
  const moment = new Date().toISOString().slice(0, 19).replaceAll(":", "-").replace("T", " ");
  return new File([text], `Pasted ${moment}.txt`, { type: "text/plain" });
}
