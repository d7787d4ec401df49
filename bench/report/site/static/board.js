// The leaderboard: sorting, filtering, and a panel with all that is known of a value. Text goes in by textContent alone.
"use strict";
(() => {
  const tables = [...document.querySelectorAll("table.board")];
  const filters = document.getElementById("filters");
  const panels = new Map();

  function panelsOf(table) {
    if (!panels.has(table)) {
      panels.set(table, JSON.parse(document.getElementById(table.dataset.panels).textContent));
    }
    return panels.get(table);
  }

  // ---- sorting: methods among themselves, each with the rows of its earlier stages; what has no value comes last
  const collator = new Intl.Collator(undefined, { numeric: true });

  function families(body) {
    const found = [];
    for (const row of body.rows) {
      if (row.classList.contains("before") && found.length) found[found.length - 1].push(row);
      else found.push([row]);
    }
    return found;
  }

  function keyOf(row, index) {
    if (index === 0) return row.dataset.method;
    const text = row.cells[index]?.dataset.v ?? "";
    return text === "" ? NaN : Number(text);
  }

  function compare(one, other, sign) {
    if (typeof one === "string") return sign * collator.compare(one, other);
    if (Number.isNaN(one) || Number.isNaN(other)) return Number(Number.isNaN(one)) - Number(Number.isNaN(other));
    return sign * (one - other);
  }

  function sort(table, head, way) {
    for (const each of table.tHead.rows[0].cells) {
      if (each.querySelector("button.sort")) each.setAttribute("aria-sort", each === head ? way : "none");
    }
    const index = head.cellIndex;
    for (const body of table.querySelectorAll("tbody[data-sorts]")) {
      const groups = families(body);
      if (way === "none") groups.sort((a, b) => a[0].dataset.row - b[0].dataset.row);
      else {
        const sign = way === "ascending" ? 1 : -1;
        groups.sort((a, b) => compare(keyOf(a[0], index), keyOf(b[0], index), sign) || a[0].dataset.row - b[0].dataset.row);
      }
      body.append(...groups.flat());
    }
    const name = head.querySelector("button").innerText.replace(/\s+/g, " ").trim();
    Gantlet.say(way === "none" ? "in the order of the ranking" : `sorted by ${name}, ${way}`);
  }

  // the good end first, then the other, then the ranking again
  function nextWay(head) {
    const first = head.querySelector("button").dataset.first === "high" ? "descending" : "ascending";
    const second = first === "descending" ? "ascending" : "descending";
    return { [first]: second, [second]: "none" }[head.getAttribute("aria-sort")] ?? first;
  }

  // ---- filters
  function filter() {
    const asked = Object.fromEntries(new FormData(filters));
    const name = (asked.method ?? "").trim().toLowerCase();
    const references = Boolean(asked.references);
    let shown = 0, all = 0;
    for (const section of document.querySelectorAll("section.board")) {
      const here = (!asked.decoding || !section.dataset.decoding || asked.decoding === section.dataset.decoding)
        && (!asked.split || asked.split === section.dataset.split);
      section.hidden = !here;
      const table = section.querySelector("table.board");
      table.dataset.show = asked.columns ?? "";
      let left = 0;
      for (const row of table.querySelectorAll("tbody > tr")) {
        const isReference = row.classList.contains("reference") || row.classList.contains("floor");
        const isBefore = row.classList.contains("before");
        row.hidden = isReference ? !references
          : !row.dataset.method.toLowerCase().includes(name) || (isBefore && asked.stage === "final");
        if (isReference || isBefore) continue;
        all += 1;
        left += Number(!row.hidden);
      }
      if (here) shown += left;
      section.querySelector(".none").hidden = left > 0 || !name;
      enter(table);
    }
    for (const task of document.querySelectorAll("section.task")) {
      task.hidden = [...task.querySelectorAll("section.board")].every((board) => board.hidden);
    }
    filters.elements.shown.value = shown === all ? `${all} rows of methods` : `${shown} of ${all} rows of methods`;
    hide();
  }

  // ---- the panel of a value: on pointing at it, and on moving to it by Tab and the arrow keys
  const panel = document.createElement("div");
  panel.id = "panel";
  panel.hidden = true;
  panel.setAttribute("role", "tooltip");
  document.body.append(panel);
  let owner = null;
  let leaving = 0;

  function part(kind, text, parent = panel) {
    const made = document.createElement(kind);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  function signatureOf(cell) {
    const all = panelsOf(cell.closest("table"));
    const known = cell.tagName === "TD" ? all.rows[cell.parentElement.dataset.row][cell.dataset.column] : null;
    return known?.signature ?? all.signatures[cell.dataset.column];
  }

  function fill(cell) {
    const table = cell.closest("table");
    const index = Number(cell.dataset.column);
    const head = [...table.tHead.rows[0].cells].find((each) => Number(each.dataset.column) === index);
    const title = head.querySelector(".t").textContent;
    panel.replaceChildren();
    if (cell.tagName === "TH") {
      part("b", title);
      const about = head.querySelector(".about");
      if (about) part("p", about.textContent);
    } else {
      const row = cell.parentElement;
      const known = panelsOf(table).rows[row.dataset.row][index];
      const stage = row.querySelector(".stage");
      part("b", `${row.dataset.method}${stage ? `, ${stage.textContent}` : ""}: ${title}`);
      const half = cell.querySelector(".h")?.textContent ?? "";
      const seeds = known?.seeds.length ?? 0;
      part("p", `${cell.querySelector(".m").textContent} ${half}${half ? ` (95 % over ${seeds} seeds)` : ""}`);
      if (seeds > 1 || (seeds && known.seeds[0][0] !== "")) {
        part("p", known.seeds.map(([seed, value]) => `seed ${seed}: ${value}`).join(", "));
      }
      if (known?.items) part("p", `from ${known.items.toLocaleString("en")} items`);
      const words = cell.querySelector(".k .visually-hidden")?.textContent.replace(/^ \(|\)$/g, "");
      for (const text of [words, known?.said, known?.why]) if (text) part("p", text).className = "said";
    }
    const signature = signatureOf(cell);
    if (!signature) return;
    part("code", signature);
    const line = part("p", "");
    line.className = "hint";
    const button = part("button", "Copy the signature", line);
    button.type = "button";
    button.className = "copy";
    button.tabIndex = -1;
    button.addEventListener("click", () => copySignature(cell));
    if (cell.tagName === "TD") part("span", " or Enter on the value", line);
  }

  async function copySignature(cell) {
    const done = await Gantlet.copy(signatureOf(cell));
    const button = panel.querySelector("button");
    if (button) button.textContent = done ? "Copied" : "Select it and copy by hand";
    Gantlet.say(done ? "signature copied" : "not copied");
  }

  function show(cell) {
    clearTimeout(leaving);
    if (owner === cell) return;
    hide();
    owner = cell;
    fill(cell);
    panel.hidden = false;
    (cell.querySelector("button.sort") ?? cell).setAttribute("aria-describedby", "panel");
    const box = cell.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = panel;
    const below = box.bottom + height + 4 < innerHeight || box.top < height + 4;
    panel.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
    panel.style.top = `${below ? box.bottom + 2 : box.top - height - 2}px`;
  }

  function hide() {
    clearTimeout(leaving);
    if (owner) (owner.querySelector("button.sort") ?? owner).removeAttribute("aria-describedby");
    owner = null;
    panel.hidden = true;
  }

  const valueAt = (target) => (target instanceof Element ? target.closest("table.board [data-column]") : null);

  // ---- one stop of the Tab key a table; arrows move inside
  function visible(cell) {
    return cell.offsetParent !== null;
  }

  function enter(table) {
    let first = null;
    for (const cell of table.querySelectorAll("td[data-column]")) {
      cell.tabIndex = -1;
      if (!first && visible(cell)) first = cell;
    }
    if (first) first.tabIndex = 0;
  }

  function moved(cell, key) {
    const row = cell.parentElement;
    const inRow = (each) => [...each.querySelectorAll("td[data-column]")].filter(visible);
    const cells = inRow(row);
    const at = cells.indexOf(cell);
    if (key === "ArrowLeft") return cells[at - 1];
    if (key === "ArrowRight") return cells[at + 1];
    if (key === "Home") return cells[0];
    if (key === "End") return cells[cells.length - 1];
    const rows = [...cell.closest("table").querySelectorAll("tbody > tr")].filter((each) => inRow(each).length);
    const target = rows[rows.indexOf(row) + (key === "ArrowUp" ? -1 : 1)];
    return target?.querySelector(`td[data-column="${cell.dataset.column}"]`);
  }

  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("table.board button.sort") : null;
    if (!button) return;
    const head = button.closest("th");
    sort(head.closest("table"), head, nextWay(head));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const cell = document.activeElement;
    if (!(cell instanceof HTMLTableCellElement) || !cell.dataset.column) return;
    if (event.key === "Enter") {
      event.preventDefault();
      copySignature(cell);
    }
    if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const target = moved(cell, event.key);
    if (!target) return;
    cell.tabIndex = -1;
    target.tabIndex = 0;
    target.focus();
  });
  document.addEventListener("focusin", (event) => {
    const cell = valueAt(event.target);
    if (cell && !event.target.closest("sup")) show(cell);
    else if (!panel.contains(event.target)) hide();
  });
  document.addEventListener("pointerover", (event) => {
    const cell = valueAt(event.target);
    if (cell) show(cell);
    else if (panel.contains(event.target)) clearTimeout(leaving);
    else if (owner && owner !== document.activeElement && !owner.contains(document.activeElement)) {
      clearTimeout(leaving);
      leaving = setTimeout(hide, 250); // time to reach the panel
    }
  });
  addEventListener("scroll", (event) => { if (!panel.contains(event.target)) hide(); }, { capture: true, passive: true });

  for (const table of tables) {
    for (const head of table.tHead.rows[0].cells) if (head.querySelector("button.sort")) head.setAttribute("aria-sort", "none");
  }
  if (filters) {
    filters.hidden = false;
    filters.addEventListener("input", filter);
    filters.addEventListener("submit", (event) => event.preventDefault());
    filters.addEventListener("reset", () => setTimeout(() => {
      for (const table of tables) sort(table, table.tHead.rows[0].cells[0], "none");
      filter();
    }));
    filter();
  }
})();
