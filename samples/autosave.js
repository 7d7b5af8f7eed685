/**
 * Autosave for a text editor: debounced, never two saves at once.
 */

const DELAY_MS = 800;
const MAX_BACKOFF_MS = 30_000;

/** Call `action` once the calls have stopped for `delay` milliseconds. */
export function debounce(action, delay) {
  let timer = null;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...args), delay);
  };
}

export class Autosave {
  #editor;
  #url;
  #saving = false;
  #dirty = false;
  #failures = 0;

  constructor(editor, url) {
    this.#editor = editor;
    this.#url = url;
    editor.addEventListener("input", debounce(() => this.save(), DELAY_MS));
    window.addEventListener("beforeunload", (event) => {
      if (this.#dirty) event.preventDefault();
    });
  }

  /** Save the newest text. A call during a save leads to exactly one more save afterwards. */
  async save() {
    this.#dirty = true;
    if (this.#saving) return;
    this.#saving = true;
    try {
      while (this.#dirty) {
        this.#dirty = false;
        await this.#send(this.#editor.value);
      }
      this.#failures = 0;
    } catch (error) {
      this.#dirty = true;
      this.#failures += 1;
      const wait = Math.min(MAX_BACKOFF_MS, DELAY_MS * 2 ** this.#failures);
      console.warn(`autosave failed, next try in ${wait} ms`, error);
      setTimeout(() => this.save(), wait);
    } finally {
      this.#saving = false;
    }
  }

  async #send(text) {
    const response = await fetch(this.#url, {
      method: "PUT",
      headers: { "Content-Type": "text/plain; charset=utf-8" },
      body: text,
    });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
  }
}
