// What all pages share: the theme, menus, copying. Nothing here asks for a file or a network.
"use strict";
const Gantlet = (() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  }

  // Others redraw what CSS doesn't reach (charts) when this event comes.
  function showTheme() {
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
      button.hidden = false;
    }
    document.dispatchEvent(new CustomEvent("gantlet-theme", { detail: { dark: isDark() } }));
  }

  function toggleTheme() {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("gantlet-theme", root.dataset.theme); } catch { /* for this page alone, then */ }
    showTheme();
  }

  // A line that is read out and not seen.
  const live = document.createElement("p");
  live.className = "visually-hidden";
  live.setAttribute("role", "status");
  document.body.append(live);

  function say(text) {
    live.textContent = "";
    requestAnimationFrame(() => { live.textContent = text; });
  }

  // The clipboard may be refused to pages from disk; an older way is tried then.
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const before = document.activeElement;
      const field = document.createElement("textarea");
      field.value = text;
      field.className = "visually-hidden";
      document.body.append(field);
      field.select();
      let done = false;
      try { done = document.execCommand("copy"); } catch { done = false; }
      field.remove();
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
      return done;
    }
  }

  async function copyFrom(button) {
    const source = document.getElementById(button.dataset.copy);
    const done = await copy(source.textContent);
    if (!done) getSelection().selectAllChildren(source);
    const first = button.firstChild;
    button.dataset.label ??= first.textContent;
    first.textContent = done ? "Copied" : "Selected: copy it by hand";
    say(first.textContent);
    setTimeout(() => { first.textContent = button.dataset.label; }, 1600);
  }

  function closeMenus(except) {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
  }

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const button = target?.closest("button");
    if (button?.id === "theme") toggleTheme();
    if (button?.dataset.copy) copyFrom(button);
    if (button?.dataset.open) {
      for (const table of document.querySelectorAll(button.dataset.open)) table.classList.toggle("brief");
      const brief = document.querySelector(button.dataset.open)?.classList.contains("brief");
      button.textContent = brief ? "Show the signatures" : "Hide the signatures";
    }
    closeMenus(target?.closest("details.menu"));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.activeElement?.closest("details.menu[open]");
    closeMenus(null);
    menu?.querySelector("summary").focus();
  });

  // Buttons that do nothing without this script are hidden until it runs.
  for (const button of document.querySelectorAll("button.copy")) button.hidden = false;
  for (const button of document.querySelectorAll("button[data-open]")) {
    for (const table of document.querySelectorAll(button.dataset.open)) table.classList.add("brief");
  }
  system.addEventListener("change", showTheme);
  showTheme();
  return { say, copy, isDark };
})();
