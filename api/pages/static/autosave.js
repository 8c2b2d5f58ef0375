// Saves the answer of a question page 1.5 s after the last change and when the page is left.
// A draft stays in the browser's storage until the server has confirmed it, so that a lost connection loses nothing.

const DELAY_MS = 1500;
const TIMEOUT_MS = 15_000;
const RETRY_MS = [2000, 4000, 8000, 15000];

const form = document.querySelector("[data-autosave]");
if (form) watch(form);

function watch(form) {
  const texts = form.dataset;
  const state = form.querySelector("[data-save-state]");
  const conflict = form.querySelector("[data-conflict]");
  const key = `draft:${texts.draft}`;
  let version = texts.version;
  let confirmed = serialized();
  let latest = confirmed;
  let timer;
  let failures = 0;
  let sending; // the promise of the request that is being sent
  let leaving = false;
  let blocked = !conflict.hidden;

  restore();
  countWords();
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  form.addEventListener("submit", submitted);
  form.querySelector("[data-keep-mine]").addEventListener("click", keepMine);
  form.querySelector("[data-take-stored]").addEventListener("click", () => localStorage.removeItem(key));
  window.addEventListener("online", () => save());
  window.addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && save());
  document.addEventListener("microcred:time-over", () => save());
  if (!conflict.hidden) form.querySelector("[data-keep-mine]").hidden = false;

  function changed() {
    countWords();
    const body = serialized();
    // A click on a button makes a text send `change` again. The message stays then, because without it the button moves.
    if (body === latest) return;
    latest = body;
    clearTimeout(timer);
    show("", "");
    if (body === confirmed && !sending) {
      localStorage.removeItem(key);
      return;
    }
    keep();
    timer = setTimeout(save, DELAY_MS);
  }

  // Save before the form is sent. Otherwise its draft would stay in the storage, and a save that is being sent would make
  // the version of the form out of date.
  async function submitted(event) {
    clearTimeout(timer);
    form.elements.version.value = version;
    if (!blocked && !sending && serialized() === confirmed) return;
    event.preventDefault();
    if (blocked) conflict.focus();
    if (blocked || leaving) return;
    leaving = true;
    await sending;
    await save();
    leaving = false;
    if (blocked || state.dataset.kind === "waiting") return;
    form.removeEventListener("submit", submitted);
    form.requestSubmit(event.submitter);
    form.addEventListener("submit", submitted);
  }

  // One request at a time, because each needs the version that the previous one returned.
  function save() {
    sending ??= send().finally(() => (sending = undefined));
    return sending;
  }

  async function send() {
    clearTimeout(timer);
    const body = serialized();
    if (blocked || body === confirmed) return;
    show("saving", texts.textSaving);
    try {
      const response = await fetch(texts.autosave, {
        method: "POST",
        headers: headers(),
        body,
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await answered(response, body);
    } catch {
      show("waiting", texts.textOffline);
      again();
    }
    if (failures === 0 && !blocked && serialized() !== body) timer = setTimeout(save, DELAY_MS);
  }

  async function answered(response, body) {
    if (response.ok) {
      const saved = await response.json();
      failures = 0;
      version = saved.version;
      confirmed = body;
      form.elements.version.value = version;
      if (serialized() === body) localStorage.removeItem(key);
      else keep();
      const time = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium" }).format(new Date(saved.saved_at));
      show("saved", (saved.answered ? texts.textSaved : texts.textRemoved).replace("{time}", time));
      mark(saved.answered);
    } else if (response.status === 412) {
      stale(await response.json());
    } else if (response.status === 400) {
      show("problem", `${texts.textInvalid} ${texts.textRule ?? ""}`.trim());
    } else if (response.status === 401 || response.status === 403) {
      show("problem", texts.textSignedOut);
      await renewToken();
      again();
    } else if (response.status === 409 || response.status === 410) {
      show("problem", texts.textClosed);
    } else {
      show("waiting", texts.textBusy);
      again(Number(response.headers.get("Retry-After")) * 1000);
    }
  }

  // After a new sign-in in another tab, this page's token is out of date.
  async function renewToken() {
    const options = { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(TIMEOUT_MS) };
    const page = await fetch(window.location.href, options);
    const fresh = new DOMParser().parseFromString(await page.text(), "text/html");
    const token = fresh.querySelector("meta[name=csrf-token]")?.content;
    if (!token) return;
    document.querySelector("meta[name=csrf-token]").content = token;
    form.elements.csrf.value = token;
  }

  function again(wait = 0) {
    const pause = Math.max(wait, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
    failures += 1;
    clearTimeout(timer);
    timer = setTimeout(save, pause);
  }

  function stale(stored) {
    blocked = true;
    version = stored.version;
    show("problem", "");
    conflict.querySelector("[data-conflict-stored]").textContent = stored.answer || "–";
    form.querySelector("[data-keep-mine]").hidden = false;
    conflict.hidden = false;
    conflict.focus();
  }

  function keepMine() {
    blocked = false;
    conflict.hidden = true;
    if (form.elements.version.value !== version) form.elements.version.value = version;
    confirmed = null;
    save();
  }

  function leave() {
    const body = serialized();
    if (blocked || (body === confirmed && !sending)) return;
    // The draft stays in the storage: a page that is closing does not learn whether this request succeeds.
    fetch(texts.autosave, { method: "POST", headers: headers(), body, keepalive: true }).catch(() => {});
  }

  function headers() {
    return {
      Accept: "application/json",
      "Content-Type": "application/x-www-form-urlencoded",
      "If-Match": `"${version}"`,
      "X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content,
    };
  }

  function serialized() {
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (name === "answer" || name.startsWith("choice.")) fields.append(name, value.replace(/\r\n/g, "\n"));
    }
    return fields.toString();
  }

  function keep() {
    localStorage.setItem(key, JSON.stringify({ version, body: serialized() }));
  }

  // A draft that was based on another version is a conflict, which the server detects by its version.
  function restore() {
    const draft = JSON.parse(localStorage.getItem(key) ?? "null");
    if (!draft || blocked) return;
    if (draft.body === confirmed) {
      localStorage.removeItem(key);
      return;
    }
    const fields = new URLSearchParams(draft.body);
    for (const input of form.querySelectorAll("input, textarea")) {
      if (input.type === "radio") input.checked = fields.get(input.name) === input.value;
      else if (input.type === "checkbox") input.checked = fields.has(input.name);
      else if (input.name === "answer") input.value = fields.get("answer") ?? "";
    }
    version = draft.version;
    latest = serialized();
    show("waiting", texts.textRestored);
    timer = setTimeout(save, 500);
  }

  function countWords() {
    const counter = form.querySelector("[data-words]");
    if (!counter) return;
    const words = form.elements.answer.value.trim().split(/\s+/).filter(Boolean).length;
    counter.textContent = words === 1 ? texts.textWord + "." : texts.textWords.replace("{words}", words) + ".";
  }

  function mark(isAnswered) {
    const map = document.querySelector(".question-map");
    map?.querySelector("[aria-current]")?.classList.toggle("question-map__item--answered", isAnswered);
    const count = document.querySelector("[data-answered]");
    if (map && count) count.textContent = count.dataset.answered.replace("{answered}", map.querySelectorAll(".question-map__item--answered").length);
  }

  function show(kind, text) {
    state.dataset.kind = kind;
    if (state.textContent !== text) state.textContent = text;
  }
}
