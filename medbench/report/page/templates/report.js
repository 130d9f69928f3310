"use strict";
// Figures open in a dialog, which the browser closes on Esc and keeps the keyboard in.
const viewer = document.getElementById("viewer");
if (viewer.showModal) {
  document.documentElement.classList.add("enlarges");
  for (const button of document.querySelectorAll("button.zoom")) {
    button.addEventListener("click", () => {
      const image = button.querySelector("img");
      const shown = viewer.querySelector("img");
      shown.src = image.src;
      shown.alt = image.alt;
      viewer.querySelector("p").textContent = button.closest("figure").querySelector("figcaption").textContent;
      viewer.showModal();
      viewer.scrollTop = 0;
    });
  }
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
}
// On paper nothing can be opened: everything is.
window.addEventListener("beforeprint", () => {
  for (const closed of document.querySelectorAll("details:not([open])")) {
    closed.open = true;
    closed.dataset.opened = "";
  }
});
window.addEventListener("afterprint", () => {
  for (const opened of document.querySelectorAll("details[data-opened]")) {
    opened.open = false;
    delete opened.dataset.opened;
  }
});
