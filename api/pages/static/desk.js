// The review desk: levels by keys, and a claim that is renewed while the page is open.

const RENEW_EVERY_MS = 4 * 60 * 1000;
const form = document.querySelector("form[data-desk]");
const claim = document.querySelector("[data-claim]");
const problem = document.querySelector("[data-claim-problem]");
const criteria = form ? [...form.querySelectorAll("[data-criterion]")] : [];

for (const each of criteria) {
  each.addEventListener("keydown", onKey);
  each.addEventListener("focusin", () => highlight(each.dataset.criterion));
}
if (form) {
  if (!document.querySelector("[data-focus]")) focusOn(criteria[0], { preventScroll: true });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) store(event);
  });
}
if (claim) {
  setInterval(renew, RENEW_EVERY_MS);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && renew());
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const criterion = event.currentTarget;
  const place = criteria.indexOf(criterion);
  const radios = [...criterion.querySelectorAll("input[type=radio]")];
  if (event.key === "ArrowUp" || event.key === "ArrowDown") {
    event.preventDefault();
    focusOn(criteria[place + (event.key === "ArrowDown" ? 1 : -1)] ?? (event.key === "ArrowDown" ? form.elements.comment : criterion));
    return;
  }
  const radio = radios.find((each) => each.dataset.key === event.key);
  if (!radio) return;
  event.preventDefault();
  radio.checked = true;
  focusOn(criteria[place + 1] ?? form.elements.comment);
}

function focusOn(target, options) {
  const radios = target?.querySelectorAll?.("input[type=radio]") ?? [];
  const radio = [...radios].find((each) => each.checked) ?? radios[0];
  (radio ?? target)?.focus(options);
}

function highlight(number) {
  for (const each of document.querySelectorAll("mark.quote")) {
    each.classList.toggle("quote--current", each.dataset.criteria.split(" ").includes(number));
  }
}

function store(event) {
  event.preventDefault();
  const changed = [...form.querySelectorAll("input[type=radio]")].some((each) => each.checked !== each.defaultChecked);
  const confirm = form.querySelector("button[value=confirm]");
  form.requestSubmit(!changed && confirm ? confirm : form.querySelector("button[value=set]"));
}

async function renew() {
  const headers = { "X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content, Accept: "application/json" };
  try {
    const answer = await fetch(claim.dataset.claim, { method: "POST", headers });
    if (answer.ok) {
      const time = claim.querySelector("time");
      time.dateTime = (await answer.json()).expires_at;
      time.textContent = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "short" }).format(new Date(time.dateTime));
      tell("");
    } else if (answer.status === 409 || answer.status === 404) {
      tell(claim.dataset.lost);
    } else {
      tell(claim.dataset.offline);
    }
  } catch {
    tell(claim.dataset.offline);
  }
}

function tell(text) {
  problem.textContent = text;
  problem.className = text ? "notice notice--warning" : "";
}
