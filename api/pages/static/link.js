// Puts the token of the link, which is in the part of the address after `#`, into the form, and removes it from the
// address. The field stays visible if the link has no token, or if the server refused it.

const part = document.querySelector("[data-link]");
const input = part.querySelector("input");

take();
addEventListener("hashchange", take); // another link in this tab loads no page

function take() {
  if (location.hash.length > 1) {
    input.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
  }
  part.hidden = input.value !== "" && input.getAttribute("aria-invalid") !== "true";
}
