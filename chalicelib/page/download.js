/** Files that the API makes, saved with the browser's own download. */

import { request } from "./api.js";
import { el } from "./dom.js";

/** Fetch `path` and save it as `name`. Throws ApiError. */
export async function download(path, name) {
  const { data, headers } = await request(path, { raw: true });
  save(data, name, headers.get("Content-Type"));
}

/** Save a cluster's documents as one file, however many pages the API makes of them. Throws ApiError. */
export async function downloadCluster(id, format, name) {
  const pages = [];
  let cursor = "";
  do {
    const asked = new URLSearchParams({ format, ...(cursor && { cursor }) });
    const { data, headers } = await request(`./clusters/${encodeURIComponent(id)}/export?${asked}`, {
      raw: true,
    });
    pages.push(data);
    cursor = headers.get("X-Next-Cursor");
  } while (cursor);
  const [text, type] = format === "json" ? [joinedJson(pages), "application/json"] : [pages.join("\n"), "text/markdown"];
  save(text, name, type);
}

function joinedJson(pages) {
  const [first, ...others] = pages.map((page) => JSON.parse(page));
  const documents = [first, ...others].flatMap((page) => page.documents);
  return JSON.stringify({ cluster: first.cluster, documents }, null, 2);
}

function save(text, name, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
