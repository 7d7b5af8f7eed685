/**
 * Start of the page: sign-in, sections and what surrounds them.
 * A section is a module with `title` and `open(root, parameters)`, which returns what undoes it. To add one, name it
 * in SECTIONS.
 */

import { connection } from "./api.js";
import { announce, el, icon } from "./dom.js";
import { refreshTimes } from "./format.js";
import { showHealth } from "./health.js";
import { jobs } from "./jobs.js";
import { watchHistory } from "./polling.js";
import { session } from "./session.js";
import { forgetUploads } from "./uploads.js";
import * as add from "./view_add.js";
import * as documents from "./view_documents.js";
import * as jobList from "./view_jobs.js";
import * as signIn from "./view_signin.js";

/** In the order of the navigation. `path` is the first part of the address after `#/`. */
const SECTIONS = [
  { path: "add", symbol: "add", view: add },
  { path: "jobs", symbol: "jobs", view: jobList },
  { path: "documents", symbol: "document", view: documents },
];

const byId = (id) => document.getElementById(id);
const main = byId("main");
const running = el("span", { class: "nav-count", hidden: true });
let close = () => {};

function route() {
  const [path, ...parameters] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  const section = SECTIONS.find((one) => one.path === path) ?? SECTIONS[0];
  return { section, parameters: section.path === path ? parameters : [] };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // A stray per cent sign in an address typed by hand.
  }
}

/** Show the section that the address names, or the sign-in form. `moved`: the user went there, so focus follows. */
function show({ moved }) {
  const { section, parameters } = route();
  const signedIn = session.token !== null;
  const view = signedIn ? section.view : signIn;
  close();
  main.replaceChildren();
  for (const link of byId("nav").querySelectorAll("a")) {
    if (link.dataset.path === section.path) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("shell").dataset.signedIn = String(signedIn);
  byId("nav").hidden = byId("account").hidden = !signedIn;
  byId("account-name").textContent = session.user ?? "Signed in";
  document.title = `${view.title} · SyncBoard`;
  close = view.open(main, parameters);
  if (!moved) return;
  window.scrollTo(0, 0);
  (main.querySelector("h1") ?? main).focus({ preventScroll: true });
}

function buildNavigation() {
  const links = SECTIONS.map(({ path, symbol, view }) =>
    el(
      "a",
      { href: `#/${path}`, data: { path } },
      icon(symbol),
      el("span", { text: view.title }),
      path === "jobs" && running,
    ),
  );
  byId("nav").append(...links);
}

function countRunning() {
  const number = jobs.running;
  running.hidden = number === 0;
  running.replaceChildren(String(number), el("span", { class: "visually-hidden", text: " running" }));
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
}

start();
