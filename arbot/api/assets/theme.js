// Colours before the first paint: the system's unless somebody chose. Runs before the page is drawn, so it is no module.
"use strict";
try {
  const chosen = localStorage.getItem("arbot-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // no storage in this browser: the system's colours it is
}
