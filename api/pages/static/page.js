// What every page does: show times in the browser's time zone, move the focus to errors, close menus, copy a secret.

for (const each of document.querySelectorAll("time[data-local]")) showLocally(each);
document.querySelector("[data-focus]")?.focus();

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = document.querySelector("meta[name=csrf-token]").content;
});
document.addEventListener("htmx:afterSwap", (event) => {
  for (const each of event.target.querySelectorAll?.("time[data-local]") ?? []) showLocally(each);
});
document.addEventListener("click", closeMenus);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeMenus(event);
});

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// Browsers offer the clipboard to pages over HTTPS and on localhost only.
for (const button of navigator.clipboard ? document.querySelectorAll("[data-copy]") : []) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.copied;
  });
}

function showLocally(time) {
  const options = time.dataset.local === "time" ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  time.textContent = new Intl.DateTimeFormat(document.documentElement.lang, options).format(new Date(time.dateTime));
}

function closeMenus(event) {
  for (const menu of document.querySelectorAll(".account-menu[open], .menu[open]")) {
    const inside = menu.contains(event.type === "keydown" ? document.activeElement : event.target);
    if (event.type === "click" && inside) continue;
    menu.open = false;
    if (inside) menu.querySelector("summary").focus();
  }
}
