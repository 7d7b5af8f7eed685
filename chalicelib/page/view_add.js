/** Add: drop, choose or paste files, folders, links; the samples; what was added in this tab. */

import { CardList } from "./card.js";
import { announce, button, el, icon } from "./dom.js";
import { chosen, dropped, MOST } from "./folders.js";
import { count, number } from "./format.js";
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
  const link = linkForm(complain);
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
    folderRow((files) => takeFolder(chosen(files))),
    link.form,
    problem,
    samples || "",
    added,
  );

  const take = (files) => {
    complain(null);
    submit(files);
  };
  /** What a folder held: too much is refused as a whole, for nobody could tell which files were taken. */
  function takeFolder({ files, left, over }) {
    const hidden = left ? ` ${count(left, "hidden or system entry", "hidden or system entries")} left out.` : "";
    if (over) complain(`That is more than ${number(MOST)} files, the most at a time. Add its folders one by one.`);
    else if (!files.length) complain(`There is no file in it.${hidden}`);
    else {
      take(files);
      if (hidden) complain(`${count(files.length, "file")} added.${hidden}`);
    }
  }
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
    listenForDrops(zone, takeFolder, complain),
    listenForPaste(take, link.offer),
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
      "Drop files or folders here, or ",
      el("span", { class: "drop-link", text: "choose files" }),
    ),
    el("span", { class: "drop-hint", text: "Documents, scans, photos, recordings, films, mails, code, ZIP archives. You can also paste." }),
  );
}

/** A folder with all that is below it. */
function folderRow(take) {
  const input = el("input", { type: "file", webkitdirectory: true, hidden: true, id: "folder" });
  if (!("webkitdirectory" in input)) return "";
  input.addEventListener("change", () => {
    take(input.files);
    input.value = "";
  });
  return el(
    "div",
    { class: "folder-row" },
    input,
    button("Choose a folder", () => input.click(), { kind: "small", symbol: "add" }),
    el("span", { text: `With all that is in it, up to ${number(MOST)} files at a time; hidden ones are left out.` }),
  );
}

/** {form, offer}: `offer(address)` puts a link into the field, for its owner to send. */
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
  const offer = (address) => {
    input.value = address;
    send.focus();
    announce("Link pasted. Press Add link to have it read.");
  };
  return { form: el("form", { class: "link-form", on: { submit: submitted } }, input, send), offer };
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
function listenForDrops(zone, takeFolder, complain) {
  let depth = 0;
  const highlight = (change) => {
    depth = Math.max(0, depth + change);
    zone.classList.toggle("over", depth > 0);
  };
  const handlers = {
    dragenter: () => highlight(1),
    dragleave: () => highlight(-1),
    dragover: (event) => event.preventDefault(),
    drop: async (event) => {
      event.preventDefault();
      highlight(-depth);
      if (![...event.dataTransfer.items].some(({ kind }) => kind === "file")) return;
      try {
        takeFolder(await dropped(event.dataTransfer));
      } catch (error) {
        complain(error.message);
      }
    },
  };
  Object.entries(handlers).forEach(([type, run]) => window.addEventListener(type, run));
  return () => Object.entries(handlers).forEach(([type, run]) => window.removeEventListener(type, run));
}

function listenForPaste(take, offerLink) {
  const onPaste = (event) => {
    const { files } = event.clipboardData;
    if (!files.length && event.target.closest?.("input, textarea")) return;
    const text = event.clipboardData.getData("text/plain").trim();
    if (files.length) take(files);
    else if (/^https?:\/\/\S+$/.test(text)) offerLink(text);
    else if (text) {
      take([pastedText(text)]);
      announce("Pasted text.");
    } else return;
    event.preventDefault();
  };
  document.addEventListener("paste", onPaste);
  return () => document.removeEventListener("paste", onPaste);
}

function pastedText(text) {
  const moment = new Date().toISOString().slice(0, 19).replaceAll(":", "-").replace("T", " ");
  return new File([text], `Pasted ${moment}.txt`, { type: "text/plain" });
}
