// Counts down the time of an assessment, announces 10, 5 and 1 minute, and opens the progress page at the end.

const timer = document.querySelector("[data-timer]");
if (timer) count(timer);

function count(element) {
  const clock = new Date(element.dataset.now).getTime() - performance.now(); // the server's clock, not the browser's
  const expires = new Date(element.dataset.expires).getTime();
  const text = element.querySelector("[data-timer-text]");
  const announced = document.createElement("p");
  announced.setAttribute("role", "status");
  announced.className = "time-warning";
  element.after(announced);
  let warned = Infinity;
  let finished = false;

  const tick = () => {
    const seconds = Math.max(0, Math.floor((expires - clock - performance.now()) / 1000));
    text.textContent = left(element.dataset, seconds);
    element.classList.toggle("time-left--short", seconds < 600);
    const step = [1, 5, 10].find((minutes) => seconds <= minutes * 60);
    if (step !== undefined && step < warned) {
      warned = step;
      announced.textContent =
        step === 1 ? element.dataset.textLast : element.dataset.textWarning.replace("{minutes}", Math.ceil(seconds / 60));
    }
    if (seconds <= 3 && !finished) {
      finished = true;
      document.dispatchEvent(new CustomEvent("microcred:time-over")); // the last draft is saved now
    }
    if (seconds === 0) window.location.assign(element.dataset.after);
    else setTimeout(tick, seconds > 7200 ? 30_000 : 1000);
  };
  tick();
}

function left(texts, seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600), Math.floor(seconds / 60)];
  if (days) return texts.textDays.replace("{days}", days).replace("{hours}", hours % 24);
  if (hours) return texts.textHours.replace("{hours}", hours).replace("{minutes}", minutes % 60);
  if (minutes) return texts.textMinutes.replace("{minutes}", minutes);
  return texts.textSeconds.replace("{seconds}", seconds);
}
