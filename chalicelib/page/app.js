/**
 * Start of the page: sign-in, sections and what surrounds them.
 * A section is a module with `title` and `open(root, parameters, query)`, which returns what undoes it; `wide` gives it
 * more room. Its address is `#/path/parameter/…?query`. To add one, name it in SECTIONS. Sections are loaded when they
 * are opened: each module is a request, and on AWS a call of the API's function.
 */

import { connection } from "./api.js";
import { announce, button, el, icon, notice } from "./dom.js";
import { refreshTimes } from "./format.js";
import { showHealth } from "./health.js";
import { jobs } from "./jobs.js";
import { watchHistory } from "./polling.js";
import { session } from "./session.js";
import { forgetUploads } from "./uploads.js";
import * as signIn from "./view_signin.js";

/** In the order of the navigation. `path` is the first part of the address after `#/`. */
const SECTIONS = [
  { path: "add", symbol: "add", title: "Add", load: () => import("./view_add.js") },
  { path: "jobs", symbol: "jobs", title: "Jobs", load: () => import("./view_jobs.js") },
  { path: "search", symbol: "search", title: "Search", load: () => import("./view_search.js") },
  { path: "documents", symbol: "document", title: "Documents", load: () => import("./view_documents.js") },
  { path: "topics", symbol: "cluster", title: "Topics", load: () => import("./view_topics.js") },
  { path: "duplicates", symbol: "copies", title: "Duplicates", load: () => import("./view_duplicates.js") },
  { path: "ideas", symbol: "idea", title: "Ideas", load: () => import("./view_ideas.js") },
  { path: "insights", symbol: "chart", title: "Insights", load: () => import("./view_insights.js") },
  { path: "service", symbol: "activity", title: "Service", load: () => import("./view_service.js") },
];

/** How often the newest jobs are read, for those that were not submitted here. */
const NEWS_MS = 20_000;

const byId = (id) => document.getElementById(id);
const main = byId("main");
const running = el("span", { class: "nav-count", hidden: true });
let close = () => {};
/** What was shown last, so that a section that comes late is left out. */
let shown = null;

function route() {
  const [, where, query = ""] = /^#?\/?([^?]*)\??(.*)$/s.exec(location.hash);
  const [path, ...parameters] = where.split("/").map(decode);
  const section = SECTIONS.find((one) => one.path === path) ?? SECTIONS[0];
  const known = section.path === path;
  return { section, parameters: known ? parameters : [], query: new URLSearchParams(known ? query : "") };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // A stray per cent sign in an address typed by hand.
  }
}

/** Show the section that the address names, or the sign-in form. `moved`: the user went there, so focus follows. */
async function show({ moved }) {
  const { section, parameters, query } = route();
  const signedIn = session.token !== null;
  const mine = Symbol("shown");
  shown = mine;
  close();
  close = () => {};
  main.replaceChildren();
  showSurroundings(section, query, signedIn);
  let view = signIn;
  try {
    if (signedIn) view = await section.load();
  } catch {
    // The module could not be fetched; a browser may remember that, so the page is loaded anew.
    const again = button("Load the page again", () => location.reload());
    if (shown === mine) main.replaceChildren(notice("error", "This part of the page can’t be loaded.", again));
    return;
  }
  if (shown !== mine) return; // The user has gone elsewhere meanwhile.
  main.classList.toggle("wide", view.wide === true);
  document.title = `${view.title} · SyncBoard`;
  close = view.open(main, parameters, query);
  if (!moved) return;
  window.scrollTo(0, 0);
  if (!main.contains(document.activeElement)) (main.querySelector("h1") ?? main).focus({ preventScroll: true });
}

/** Bring what surrounds the section up to date. */
function showSurroundings(section, query, signedIn) {
  for (const link of byId("nav").querySelectorAll("a")) {
    if (link.dataset.path !== section.path) {
      link.removeAttribute("aria-current");
      continue;
    }
    link.setAttribute("aria-current", "page");
    // On a narrow screen the sections are a strip that scrolls.
    const strip = link.parentElement;
    strip.scrollLeft = link.offsetLeft - (strip.clientWidth - link.offsetWidth) / 2;
  }
  byId("shell").dataset.signedIn = String(signedIn);
  for (const id of ["nav", "account", "find", "find-link"]) byId(id).hidden = !signedIn;
  byId("find-words").value = (section.path === "search" && query.get("q")) || "";
  byId("account-name").textContent = session.user ?? "Signed in";
}

function buildNavigation() {
  const links = SECTIONS.map(({ path, symbol, title }) =>
    el(
      "a",
      { href: `#/${path}`, data: { path } },
      icon(symbol),
      el("span", { text: title }),
      path === "jobs" && running,
    ),
  );
  byId("nav").append(...links);
  byId("find-link").append(icon("search"));
}

function countRunning() {
  const { number, more } = jobs.running;
  running.hidden = number === 0;
  running.replaceChildren(`${number}${more ? "+" : ""}`, el("span", { class: "visually-hidden", text: " running" }));
}

/** The search that is there in every section, and its key: a slash, as elsewhere. */
function offerSearch() {
  const words = byId("find-words");
  byId("find").addEventListener("submit", (event) => {
    event.preventDefault();
    const q = words.value.trim();
    location.hash = q ? `#/search?q=${encodeURIComponent(q)}` : "#/search";
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, dialog, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey || !session.token) return;
    event.preventDefault();
    if (words.checkVisibility()) words.focus();
    else location.hash = "#/search";
  });
}

/** The history is read at the start, so that jobs of before a reload are counted and followed. */
async function readHistory() {
  if (!session.token) return;
  try {
    await jobs.load();
    watchHistory();
  } catch (error) {
    // The Jobs section reads it again and shows what is wrong; here only the count is missing.
    announce(error.message);
  }
}

/** What other tabs and the command line submit shows up, too; not in a tab that nobody sees. */
async function readNews() {
  if (!session.token || document.hidden || !jobs.loaded) return;
  await jobs.load().then(() => watchHistory(), () => {}); // The next time will do.
}

function showConnection() {
  const banner = byId("connection");
  banner.hidden = !connection.lost;
  banner.textContent = connection.lost ? "The server can’t be reached. Trying again…" : "";
}

function changeUser() {
  forgetUploads();
  jobs.clear();
  show({ moved: true });
  readHistory();
}

async function start() {
  buildNavigation();
  offerSearch();
  showHealth(byId("health"));
  await session.start();
  show({ moved: false });
  readHistory();
  session.addEventListener("change", changeUser);
  window.addEventListener("hashchange", () => {
    if (location.hash.startsWith("#token=")) session.start();
    else show({ moved: true });
  });
  jobs.addEventListener("list", countRunning);
  jobs.addEventListener("change", countRunning);
  connection.addEventListener("change", showConnection);
  byId("sign-out").addEventListener("click", () => session.signOut());
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // The part after # names a section here.
    main.focus();
  });
  setInterval(refreshTimes, 30_000);
  setInterval(readNews, NEWS_MS);
  document.addEventListener("visibilitychange", readNews); // Back from the terminal, say.
}

start();
