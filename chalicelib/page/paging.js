/** A list that is read page by page. */

import { button, el, failure, loading } from "./dom.js";

/** Pages that may come empty before the reader is asked to go on. */
const EMPTY_PAGES = 4;

/**
 * A list with its "Load more". `read(cursor)` resolves to {items (elements), cursor (null at the end)} and may throw
 * ApiError; `nothing()` makes what stands where there is nothing; `isOpen` tells whether anybody still looks.
 */
export class PagedList {
  #cursor = null;
  #turn = 0;

  constructor({ read, nothing, isOpen, kind = "rows", waiting = "Reading…" }) {
    Object.assign(this, { read, nothing, isOpen, waiting });
    this.list = el("ul", { class: kind });
    this.state = el("div", { class: "list-state" });
    this.more = button("Load more", () => this.go(), { kind: "wide" });
    this.more.hidden = true;
    this.node = el("div", { class: "paged" }, this.list, this.state, this.more);
  }

  /** Read from the beginning; what is there stays until the first page has come. */
  async restart() {
    this.#cursor = null;
    this.#turn += 1;
    await this.#load({ fresh: true });
  }

  /** Read the next page. */
  async go() {
    const last = this.list.lastElementChild;
    await this.#load({ fresh: false });
    // The button may be gone: focus goes to what came first, so that the keyboard is not lost.
    if (this.more.hidden) last?.nextElementSibling?.querySelector("a, button")?.focus();
  }

  async #load({ fresh }) {
    const turn = this.#turn;
    const isCurrent = () => this.isOpen() && turn === this.#turn;
    this.more.disabled = true;
    if (!this.list.childElementCount) this.state.replaceChildren(loading(this.waiting));
    this.node.setAttribute("aria-busy", "true");
    try {
      let left = EMPTY_PAGES;
      let items;
      do {
        const page = await this.read(this.#cursor);
        if (!isCurrent()) return;
        items = page.items;
        this.#cursor = page.cursor ?? null;
        left -= 1;
      } while (!items.length && this.#cursor && left > 0);
      if (fresh) this.list.replaceChildren(...items);
      else this.list.append(...items);
      this.more.hidden = !this.#cursor;
      const empty = !this.list.childElementCount && !this.#cursor;
      this.state.replaceChildren(...(empty ? [this.nothing()] : []));
    } catch (error) {
      if (!isCurrent()) return;
      this.state.replaceChildren(failure(error, () => this.#load({ fresh })));
    } finally {
      this.more.disabled = false;
      this.node.removeAttribute("aria-busy");
    }
  }
}
