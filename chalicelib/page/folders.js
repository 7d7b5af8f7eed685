/** Files of folders that were chosen or dropped, in the order of their paths. */

/** Files that are taken at a time: each has a card on the page. */
export const MOST = 2000;

/** What systems and editors leave in folders: nothing that anybody means to add. */
const LITTER = new Set(["thumbs.db", "desktop.ini", "node_modules", "__pycache__", "__macosx"]);
const isLitter = (name) => name.startsWith(".") || LITTER.has(name.toLowerCase());

/**
 * Return {files, left, over} of a folder's `FileList`, as its input gives it: `left` counts hidden files and those of
 * hidden folders, `over` says that there are more than MOST, and then `files` is empty.
 */
export function chosen(list) {
  const all = [...list].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  const kept = all.filter(({ path }) => !path.split("/").slice(1).some(isLitter));
  return ordered(kept, all.length - kept.length);
}

/**
 * Resolve to the same of what was dropped; files that were dropped by themselves are taken whatever their names. Throws
 * Error where a folder can't be read. Its first part runs at once: a drop is empty as soon as its event is over.
 */
export async function dropped(transfer) {
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const roots = items.map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const kept = [];
  let left = 0;
  for (const { entry, file } of roots) {
    if (!entry?.isDirectory) {
      if (file) kept.push({ file, path: file.name });
      continue;
    }
    left += await walk(entry, kept);
  }
  return ordered(kept, left);
}

function ordered(kept, left) {
  if (kept.length > MOST) return { files: [], left, over: true };
  kept.sort((a, b) => a.path.localeCompare(b.path, undefined, { numeric: true }));
  return { files: kept.map(({ file }) => file), left, over: false };
}

/** Add the files below a folder to `kept` until there are too many; resolves to how many entries were left out. */
async function walk(root, kept) {
  const folders = [root];
  let left = 0;
  while (folders.length && kept.length <= MOST) {
    for (const entry of await entriesOf(folders.pop())) {
      if (isLitter(entry.name)) left += 1;
      else if (entry.isDirectory) folders.push(entry);
      else kept.push({ file: await fileOf(entry), path: entry.fullPath });
    }
  }
  return left;
}

/** A reader gives about a hundred at a time, and none at the end. */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => {
      reader.readEntries(resolve, () => reject(new Error(`The folder ${folder.name} can’t be read.`)));
    });
    if (!some.length) return all;
    all.push(...some);
  }
}

const fileOf = (entry) =>
  new Promise((resolve, reject) => {
    entry.file(resolve, () => reject(new Error(`${entry.fullPath} can’t be read.`)));
  });
