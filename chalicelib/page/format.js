/** Figures and times as people read them. */

import { el } from "./dom.js";

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const NUMBER = new Intl.NumberFormat("en");
const SMALL = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });
const ABSOLUTE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
/** Unit and its length in seconds, longest first. */
const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** 1536 → "1.5 KB". Decimal places only below 10; units of 1024. */
export function bytes(count) {
  const names = ["bytes", "KB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < names.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text = unit > 0 && value < 10 ? value.toFixed(1).replace(/\.0$/, "") : String(Math.round(value));
  return unit === 0 && value === 1 ? "1 byte" : `${text} ${names[unit]}`;
}

/** 1234 words → "1,234 words"; one → "1 word". `many` where the plural takes more than an s. */
export function count(value, noun, many = `${noun}s`) {
  return `${NUMBER.format(value)} ${value === 1 ? noun : many}`;
}

/** 1234.5 → "1,235". */
export const number = (value) => NUMBER.format(Math.round(value));

/** 0.912 → "91 %"; never 100 % of what is not all, nor 0 % of what is something. */
export function percent(share) {
  if (share > 0.995 && share < 1) return "99 %";
  if (share > 0 && share < 0.005) return "1 %";
  return `${Math.round(share * 100)} %`;
}

/** Dollars as far as they say something: 12.3 → "$12.30", 0.00042 → "$0.00042". */
export function dollars(value) {
  if (!value) return "$0";
  return `$${value >= 0.1 ? value.toFixed(2) : SMALL.format(value)}`;
}

/** Seconds into a recording → "1:02:03" or "2:03". */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Seconds → "0.4 s", "12 s", "3 min 5 s", "2 h 10 min". */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Seconds between two ISO-8601 times, or null where one is missing or they make no sense. */
export function between(start, end) {
  const seconds = (Date.parse(end) - Date.parse(start)) / 1000;
  return seconds >= 0 ? seconds : null;
}

function ago(iso) {
  const seconds = (Date.parse(iso) - Date.now()) / 1000;
  const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? [null, 0];
  return unit ? RELATIVE.format(Math.round(seconds / length), unit) : "just now";
}

/** Make a <time> that says "2 minutes ago"; null for a time that can't be read. */
export function relativeTime(iso) {
  if (!iso || Number.isNaN(Date.parse(iso))) return null;
  return el("time", { datetime: iso, title: ABSOLUTE.format(new Date(iso)), text: ago(iso) });
}

/** "31 Jan 2026, 12:00:00", as this browser's language writes it. */
export const moment = (iso) => ABSOLUTE.format(new Date(iso));

/** Bring every <time> on the page up to date. */
export function refreshTimes() {
  for (const node of document.querySelectorAll("time[datetime]")) node.textContent = ago(node.dateTime);
}

/** snake_case or kebab-case → "Snake case". */
export function words(name) {
  const text = String(name).replaceAll(/[_-]+/g, " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The last part of an address, for a title; the whole where it is no address. */
export function shortAddress(url) {
  try {
    const { hostname, pathname } = new URL(url);
    return hostname + (pathname === "/" ? "" : pathname);
  } catch {
    return url;
  }
}
