// Runs before the page is drawn, so that a chosen theme doesn't flash. Storage may be refused for pages from disk.
"use strict";
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("gantlet-theme"); } catch { /* then the system's choice holds */ }
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
