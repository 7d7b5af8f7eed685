/** A question before something that can't be undone. */

import { button, el } from "./dom.js";

/**
 * Ask, and do it once that is confirmed. `parts` say what will happen, `action` is the button's label, `run` does it
 * and may throw ApiError, which is shown while the dialogue stays. Resolves to whether it was done.
 */
export function confirmed({ title, parts, action, run }) {
  return new Promise((resolve) => {
    let done = false;
    const problem = el("p", { class: "field-error", role: "alert", hidden: true });
    const cancel = button("Cancel", () => dialog.close());
    const go = button(
      action,
      async () => {
        go.disabled = cancel.disabled = true;
        problem.hidden = true;
        try {
          await run();
          done = true;
          dialog.close();
        } catch (error) {
          problem.textContent = error.message;
          problem.hidden = false;
        } finally {
          go.disabled = cancel.disabled = false;
        }
      },
      { kind: "danger" },
    );
    const dialog = el(
      "dialog",
      { class: "dialog", "aria-labelledby": "dialog-title" },
      el("h2", { id: "dialog-title", text: title }),
      ...parts,
      problem,
      el("div", { class: "dialog-actions" }, cancel, go),
    );
    dialog.addEventListener("cancel", (event) => {
      if (cancel.disabled) event.preventDefault(); // Escape, while it is being done.
    });
    const leave = () => dialog.close(); // By the browser's own Back: the question goes with the section that asked.
    window.addEventListener("hashchange", leave);
    dialog.addEventListener("close", () => {
      window.removeEventListener("hashchange", leave);
      dialog.remove();
      resolve(done);
    });
    document.body.append(dialog);
    dialog.showModal();
    cancel.focus();
  });
}
