/**
 * Building and updating the page's elements. Data only ever becomes text or an attribute, never markup.
 */

const SVG = "http://www.w3.org/2000/svg";

/** Outlines on a 24 × 24 grid, one array of path data per icon. */
const ICONS = {
  add: ["M12 5v14", "M5 12h14"],
  activity: ["M3 12h4l3-8 4 16 3-8h4"],
  alert: [
    "M12 8v5",
    "M12 16.5v.01",
    "M10.3 4 2.9 17a2 2 0 0 0 1.7 3h14.8a2 2 0 0 0 1.7-3L13.7 4a2 2 0 0 0-3.4 0z",
  ],
  back: ["M19 12H5", "m11 18-6-6 6-6"],
  cancel: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M6 6l12 12"],
  check: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "m8.5 12.2 2.4 2.4 4.8-5"],
  clock: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M12 7.5V12l3 2"],
  chart: ["M4 20h16", "M7 16v-5", "M12 16V6", "M17 16v-8"],
  close: ["M6 6l12 12", "M18 6 6 18"],
  cluster: ["M12 3 3 7.5l9 4.5 9-4.5z", "m3 12 9 4.5 9-4.5", "m3 16.5 9 4.5 9-4.5"],
  copies: ["M9 9h11v11H9z", "M15 9V4H4v11h5"],
  document: ["M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8z", "M14 3v5h5", "M9 13h6", "M9 17h4"],
  download: ["M12 4v11", "m7 10.5 5 5 5-5", "M4 20h16"],
  edit: ["M4 20h4L19 9l-4-4L4 16z", "m13 7 4 4"],
  fail: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "m9 9 6 6", "m15 9-6 6"],
  idea: ["M9 18h6", "M10 21h4", "M8.5 15a6 6 0 1 1 7 0c-.6.5-1 1.2-1 2h-5c0-.8-.4-1.5-1-2z"],
  image: ["M5 4h14v16H5z", "m5 16 4-4 4 4", "m13 15 2-2 4 4", "M14.5 8.5v.01"],
  jobs: ["M9 6h11", "M9 12h11", "M9 18h11", "M4 6h.01", "M4 12h.01", "M4 18h.01"],
  media: ["M4 5h16v14H4z", "m10 9 5 3-5 3z"],
  next: ["m9 6 6 6-6 6"],
  retry: [
    "M20 11a8 8 0 0 0-14.3-4L3 9.5",
    "M3 4v5.5h5.5",
    "M4 13a8 8 0 0 0 14.3 4l2.7-2.5",
    "M21 20v-5.5h-5.5",
  ],
  search: ["M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14z", "m20 20-4-4"],
  spinner: ["M12 3a9 9 0 1 0 9 9"],
  trash: ["M4 7h16", "M9 7V4h6v3", "M6 7l1 13h10l1-13", "M10 11v5", "M14 11v5"],
  upload: ["M12 16V5", "m7 9.5 5-5 5 5", "M4 16v2.5A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5V16"],
};

/**
 * Make an element. `props`: `class`, `text`, `data` (data-* attributes), `style` (custom properties and others), `on`
 * (event listeners), else attributes; null, undefined and false leave an attribute out. Children that are null or
 * false are left out.
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "data") Object.assign(node.dataset, value);
    // Property by property: the content security policy refuses the attribute.
    else if (name === "style") Object.entries(value).forEach(([key, one]) => node.style.setProperty(key, one));
    else if (name === "on") Object.entries(value).forEach(([type, run]) => node.addEventListener(type, run));
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Make one of ICONS. It is decoration: the words beside it say the same. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  for (const data of ICONS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", data);
    svg.append(path);
  }
  return svg;
}

/** Set the text only when it differs, so that screen readers and the layout are left in peace. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Make a button with an icon (optional), its label and what it does. */
export function button(label, run, { kind = "", symbol = null } = {}) {
  return el(
    "button",
    { class: `button ${kind}`, type: "button", on: { click: run } },
    symbol && icon(symbol),
    label,
  );
}

/** Make a box that explains something: `kind` is "error" or "info"; `actions` are buttons or links. */
export function notice(kind, message, ...actions) {
  const symbol = kind === "error" ? "alert" : "document";
  const words = el("div", { class: "notice-words" }, el("p", { text: message }), ...actions);
  return el("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : null }, icon(symbol), words);
}

/** Make the line that stands where something is being read. */
export const loading = (text) => el("p", { class: "loading", role: "status", text });

/** Make a box that names an error; with a way to try again where that can help. */
export function failure(error, again) {
  const helps = error.retryable !== false || error.status === 0;
  return notice("error", error.message, helps && button("Try again", again, { kind: "small" }));
}

/** Make a field of choices under its label (none where it is empty). `choices` are [value, words]. */
export function choice(label, choices, chosen, run, props = {}) {
  const options = choices.map(([value, text]) => el("option", { value, text, selected: value === chosen }));
  const select = el("select", { ...props, on: { change: () => run(select.value) } }, ...options);
  return el("label", { class: "choice" }, label && el("span", { text: label }), select);
}

/** Make a row of choices of which one is chosen. `choices` are [value, words]. */
export function segments(label, choices, chosen, run) {
  const name = `segments-${label}`;
  const option = ([value, text]) =>
    el(
      "label",
      {},
      el("input", {
        type: "radio",
        name,
        value,
        checked: value === chosen,
        on: { change: () => run(value) },
      }),
      el("span", { text }),
    );
  return el(
    "fieldset",
    { class: "segments" },
    el("legend", { class: "visually-hidden", text: label }),
    ...choices.map(option),
  );
}

/** Make an empty state: an icon, a heading, a sentence and, if given, what to do next. */
export function emptyState(symbol, title, sentence, ...actions) {
  return el(
    "div",
    { class: "empty" },
    icon(symbol),
    el("h2", { text: title }),
    el("p", { text: sentence }),
    ...actions,
  );
}

const waiting = [];
let timer = 0;

/** Say something to screen readers. What comes within half a second is said in one go. */
export function announce(message) {
  waiting.push(message);
  clearTimeout(timer);
  timer = setTimeout(() => {
    const said =
      waiting.length > 4 ? [...waiting.slice(0, 3), `and ${waiting.length - 3} more.`] : waiting.slice();
    waiting.length = 0;
    document.getElementById("announcer").textContent = said.join(" ");
  }, 500);
}
