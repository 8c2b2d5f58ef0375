// Lists: j and k move the focus between the rows; Enter then opens the row, because its link has the focus.
// The keys work only inside a list, so that they never get in the way of speech input or of screen readers.

for (const keys of document.querySelectorAll("[data-rows-keys]")) keys.hidden = false;
for (const list of document.querySelectorAll("[data-rows]")) {
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.key !== "j" && event.key !== "k")) return;
    const links = [...list.querySelectorAll("[data-open]")];
    const row = event.target.closest("tr");
    const place = links.findIndex((each) => each.closest("tr") === row);
    const next = links[place + (event.key === "j" ? 1 : -1)];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}
