// Follows the grading by server-sent events, and by polling when three connections have stayed mute.

const MUTE_LIMIT = 3;
const POLL_MS = 3000;

let source;
let mute = 0;
let polling;
// An event has come since the last request for the stages began. htmx drops a request that waits for another one when
// the answer to that one replaces the element.
let outdated = false;

follow();
document.addEventListener("htmx:beforeRequest", () => { outdated = false; });
document.addEventListener("htmx:afterSwap", announce);
document.addEventListener("htmx:afterSettle", () => { if (outdated) refresh(); });
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.xhr.status === 401) location.reload(); // the session has ended: the sign-in leads back to this page
  else if (!event.detail.successful) setTimeout(refresh, POLL_MS);
});

function follow() {
  const stages = document.querySelector("#stages");
  if (!stages || stages.dataset.final === "true") return;
  source = new EventSource(stages.dataset.progress);
  source.onmessage = (message) => {
    mute = 0;
    if (JSON.parse(message.data).final) source.close();
    refresh();
  };
  source.onerror = () => {
    mute += 1;
    if (mute >= MUTE_LIMIT || source.readyState === EventSource.CLOSED) {
      source.close();
      polling ??= setInterval(refresh, POLL_MS);
    }
  };
}

function refresh() {
  outdated = true;
  window.htmx.trigger("#stages", "progress");
}

function announce() {
  const active = document.querySelector(".stage--active .stage__text, .stages + p a");
  const status = document.querySelector("[data-progress-status]");
  const text = active ? active.textContent.replace(/\s+/g, " ").trim() : "";
  if (status.textContent !== text) status.textContent = text;
  const stages = document.querySelector("#stages");
  const heading = document.querySelector("[data-progress-title]");
  document.title = document.title.replace(heading.textContent, stages.dataset.title);
  heading.textContent = stages.dataset.title;
  if (stages.dataset.final === "true") {
    clearInterval(polling);
    source?.close();
  }
}
