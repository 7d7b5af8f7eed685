/**
 * Who is signed in. The token lives in sessionStorage: it ends with the tab and is not shared with others.
 * Events: "change" when somebody signed in or out.
 */

const KEY = "syncboard.session";

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // Storage is blocked or holds something else: as if nobody had signed in.
  }
}

class Session extends EventTarget {
  /** Bearer token, or null when nobody is signed in. */
  token = null;
  /** "typed" (form or address) or "local" (given by the stack on this machine). */
  source = null;
  /** Name to show, or null where the token does not come with one. */
  user = null;
  /** Sample files that a local stack offers: [{name, url}]. */
  samples = [];
  /** Whether a local stack has given a token in this tab. */
  offersLocal = false;
  /** Why somebody has to sign in again, or null. */
  reason = null;
  #renewal = null;
  /** Whether this machine was asked for a stack of its own. */
  #asked = false;

  /** Sign in from the address (`#token=…`), from this tab's storage or from the local stack, in this order. */
  async start() {
    const fromAddress = takeFromAddress();
    const saved = stored();
    this.offersLocal ||= Boolean(saved.offersLocal);
    if (fromAddress) this.signIn(fromAddress);
    else if (saved.token && saved.source === "typed") this.signIn(saved.token);
    else if (!saved.left) await this.signInLocally();
  }

  /** Take a token that was typed or came with the address. */
  signIn(token) {
    this.#set({ token, source: "typed", user: null, samples: [], reason: null });
  }

  /** Ask the local stack for a token; false where there is no such stack (404, 403, unreachable). */
  async signInLocally() {
    const values = await this.#ask();
    if (values) this.#set(values);
    return values !== null;
  }

  /** Whether a local stack would sign this tab in, which is asked once for a tab that came with a token. */
  async findLocal() {
    if (!this.offersLocal && !this.#asked) await this.#ask();
    return this.offersLocal;
  }

  /** Sign out; `reason` is shown on the sign-in form. */
  signOut(reason = null) {
    this.#set({ token: null, source: null, user: null, samples: [], reason });
  }

  /**
   * The server refused `token` (401). A local session is renewed without asking; true when there is a new token
   * to try. Otherwise signs out. Many calls at once share one renewal.
   */
  async refused(token) {
    if (this.token !== token) return this.token !== null;
    if (this.source === "local") {
      this.#renewal ??= this.#renew().finally(() => {
        this.#renewal = null;
      });
      if ((await this.#renewal) && this.token !== token) return true;
    }
    if (this.token === token) this.signOut("Your sign-in is no longer valid. Please sign in again.");
    return false;
  }

  async #ask() {
    this.#asked = true;
    const values = await askLocalStack();
    if (values) this.offersLocal = true;
    return values;
  }

  /** The same person goes on with a new token: no "change". */
  async #renew() {
    const values = await askLocalStack();
    if (values) this.#save(values);
    return values !== null;
  }

  #set(values) {
    this.#save(values);
    this.dispatchEvent(new Event("change"));
  }

  #save(values) {
    Object.assign(this, values);
    const { token, source, offersLocal } = this;
    const saved = token ? { token, source, offersLocal } : { left: true, offersLocal };
    try {
      sessionStorage.setItem(KEY, JSON.stringify(saved));
    } catch {
      // Storage is blocked: the sign-in lasts until the page is left.
    }
  }
}

function takeFromAddress() {
  const match = /^#token=([^&]+)/.exec(location.hash);
  if (!match) return null;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return match[1]; // A stray per cent sign: the token as it stands.
  }
}

/** What a local stack's sign-in sets, or null where there is none. */
async function askLocalStack() {
  try {
    const response = await fetch("./_local/session", { cache: "no-store", credentials: "omit" });
    const { token, user = null, samples = [] } = response.ok ? await response.json() : {};
    return token ? { token, source: "local", user, samples, reason: null, offersLocal: true } : null;
  } catch {
    return null; // Unreachable or not JSON: no local stack, so the form is shown.
  }
}

export const session = new Session();
