/** Sign-in: a token typed by hand, or the local stack's own. */

import { request } from "./api.js";
import { button, el, notice } from "./dom.js";
import { session } from "./session.js";

export const title = "Sign in";

/** Fill `root`; returns what undoes it. */
export function open(root) {
  const problem = el("p", { class: "field-error", id: "token-error", role: "alert", hidden: true });
  const complain = (message) => {
    problem.hidden = false;
    problem.textContent = message;
  };
  const input = el("input", {
    type: "password",
    id: "token",
    name: "token",
    autocomplete: "current-password",
    spellcheck: "false",
    required: true,
    "aria-describedby": "token-error token-hint",
  });
  const send = el("button", { class: "button primary", type: "submit", text: "Sign in" });
  const submit = async (event) => {
    event.preventDefault();
    send.disabled = true;
    const refusal = await check(input.value.trim());
    send.disabled = false;
    if (refusal) complain(refusal);
    else session.signIn(input.value.trim());
  };
  const local = button("Sign in on this machine", async () => {
    if (!(await session.signInLocally()))
      complain("No service on this machine offers a sign-in. A token is needed.");
  });
  local.hidden = !session.offersLocal;
  session.findLocal().then((found) => {
    local.hidden = !found;
  });
  root.append(
    el(
      "div",
      { class: "signin" },
      el("h1", { tabindex: -1, text: "Sign in" }),
      session.reason && notice("error", session.reason),
      el(
        "form",
        { on: { submit } },
        el("label", { for: "token", text: "Access token" }),
        input,
        el("p", {
          class: "field-hint",
          id: "token-hint",
          text: "Whoever runs this service gives you one. It is kept in this tab only.",
        }),
        problem,
        el("div", { class: "signin-actions" }, send, local),
      ),
    ),
  );
  return () => {};
}

/** Try a token; null when it is good, else what is wrong with it. */
async function check(token) {
  if (!token) return "Enter a token.";
  try {
    await request("./jobs?limit=1", {
      open: true,
      attempts: 1,
      headers: { Authorization: `Bearer ${token}` },
    });
    return null;
  } catch (error) {
    return error.status === 401 ? "This token is not valid, or it has expired." : error.message;
  }
}
