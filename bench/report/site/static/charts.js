// Draws a task's charts from the data in the page. A chart is drawn when it comes into sight, and again when its
// choices, the theme or the width change. Nothing is loaded.
"use strict";
(() => {
  const payload = JSON.parse(document.getElementById("chart-data").textContent);
  const colors = JSON.parse(document.getElementById("chart-colors").textContent);
  const { data: DATA, pick: PICK } = payload.names;
  const MOST_ROWS = 1000;
  const picked = new Set();
  const groups = new Map();

  // Parts of specifications that come more than once stand in a table.
  function whole(tree) {
    if (Array.isArray(tree)) return tree.map(whole);
    if (tree === null || typeof tree !== "object") return tree;
    if ("$" in tree) return whole(payload.parts[tree.$]);
    return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, whole(value)]));
  }

  function rowsOf(number) {
    const columns = Object.entries(payload.data[number]).map(([name, column]) =>
      [name, Array.isArray(column) ? column : column.at.map((place) => column.of[place])]);
    const length = columns.length ? columns[0][1].length : 0;
    return Array.from({ length }, (_, row) =>
      Object.fromEntries(columns.map(([name, values]) => [name, values[row]])));
  }

  function property(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function isDark() {
    return typeof Gantlet === "object" && Gantlet.isDark();
  }

  // The site's own colours, and a legend where there is room for it.
  function theme(width) {
    const [ink, muted, line, paper] = ["--ink", "--muted", "--line", "--paper"].map(property);
    const narrow = width < 640;
    const text = { labelColor: ink, titleColor: ink, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" };
    return {
      background: "transparent",
      font: property("--sans"),
      view: { stroke: null },
      axis: { ...text, gridColor: line, domainColor: muted, tickColor: muted, labelLimit: narrow ? 110 : 180 },
      legend: {
        ...text, orient: narrow ? "bottom" : "right", labelLimit: narrow ? 120 : 180, symbolStrokeWidth: 1.8,
        ...(narrow ? { columns: Math.max(1, Math.floor(width / 150)), direction: "vertical" } : {}),
      },
      text: { color: ink },
      style: {
        ink: { color: ink, stroke: ink },
        label: { color: ink, fontSize: 12 },
        rim: { color: paper, stroke: paper, strokeWidth: 3, fontSize: 12 },
      },
      range: { category: isDark() ? colors.dark : colors.light, diverging: DIVERGING },
    };
  }
  const DIVERGING = ["#b35806", "#f1a340", "#fee0b6", "#f7f7f7", "#d8daeb", "#998ec3", "#542788"];

  // A matrix needs room for the numbers in its cells: on a narrow screen it scrolls in its own box.
  function sized(spec, rows, width) {
    const against = new Set(rows.filter((row) => "against" in row).map((row) => row.against)).size;
    if (!against) return spec;
    const least = against * 34;
    return { ...spec, width: width < least + 260 ? least : Math.min(width - 260, against * 60) };
  }

  async function draw(group) {
    const chart = group.chart();
    const number = ++group.drawn;
    const box = group.box;
    const width = box.clientWidth;
    const rows = rowsOf(chart.data);
    const spec = sized(whole(chart.spec), rows, width);
    spec.datasets = { ...spec.datasets, [DATA]: rows };
    spec.config = theme(width);
    const target = document.createElement("div");
    const options = {
      mode: "vega-lite", renderer: "svg", actions: false, hover: false,
      tooltip: { theme: "gantlet", maxDepth: 1 }, logLevel: 1,
    };
    target.style.width = "100%";
    const before = box.firstElementChild;
    box.append(target);
    try {
      const result = await vegaEmbed(target, spec, options);
      if (number !== group.drawn) { result.finalize(); target.remove(); return; }
      group.result?.finalize();
      before?.remove();
      group.result = result;
      result.view.addSignalListener(`${PICK}_tuple`, () => setTimeout(() => listen(group), 0));
      show(group);
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0; else box.removeAttribute("tabindex");
      box.dataset.drawn = chart.name;
    } catch (error) {
      target.remove();
      box.classList.add("failed");
      box.textContent = `This chart could not be drawn (${error.message}); its data are in the table below.`;
      console.error(error);
    }
  }

  // What is picked lives in each chart's own store, so that a legend's click and the buttons are the same thing.
  function storeOf(group) {
    return group.result?.view.data(`${PICK}_store`) ?? [];
  }

  function listen(group) {
    const now = storeOf(group).map((each) => each.values[0]).filter((name) => name !== undefined);
    if (now.length === picked.size && now.every((name) => picked.has(name))) return;
    picked.clear();
    for (const name of now) picked.add(name);
    showAll();
  }

  function show(group) {
    const view = group.result?.view;
    if (!view) return;
    const have = storeOf(group).map((each) => each.values[0]);
    if (have.length === picked.size && have.every((name) => picked.has(name))) return;
    const unit = group.unit(view);
    const fields = [{ type: "E", field: "method" }];
    const entries = [...picked].map((name) => ({ unit, fields, values: [name] }));
    view.data(`${PICK}_store`, entries).run();
  }

  function showAll() {
    for (const group of groups.values()) show(group);
    for (const key of document.querySelectorAll(".pick[data-method]")) {
      key.setAttribute("aria-pressed", String(picked.has(key.dataset.method)));
    }
    document.getElementById("all-methods").disabled = picked.size === 0;
  }

  // A select for each choice; a combination that doesn't exist gives way to the nearest that does.
  function controls(group) {
    const names = [...new Set(group.charts.flatMap((chart) => Object.keys(chart.choices)))];
    for (const name of names) {
      const values = [...new Set(group.charts.map((chart) => chart.choices[name]).filter((value) => value !== undefined))];
      const sections = new Set(group.charts.map((chart) => chart.title)).size;
      if (values.length < 2 || !sections) continue;
      const label = document.createElement("label");
      const select = document.createElement("select");
      label.append(name, select);
      select.dataset.choice = name;
      for (const value of values) select.add(new Option(value, value));
      select.addEventListener("change", () => { group.wanted[name] = select.value; group.last = name; refresh(group); });
      group.controls.append(label);
    }
    group.controls.hidden = group.controls.childElementCount === 0;
  }

  function choose(group) {
    const score = (chart) => Object.entries(group.wanted).reduce((sum, [name, value]) =>
      sum + (chart.choices[name] === value ? (name === group.last ? 10 : 1) : 0), 0);
    return group.charts.reduce((best, chart) => (score(chart) > score(best) ? chart : best));
  }

  function refresh(group) {
    const chart = group.chart();
    group.wanted = { ...chart.choices };
    for (const select of group.controls.querySelectorAll("select")) select.value = chart.choices[select.dataset.choice];
    group.node.querySelector("[data-title]").textContent = chart.title;
    group.node.querySelector("[data-caption]").textContent = chart.caption;
    files(group, chart);
    const table = group.node.querySelector("[data-table]");
    table.querySelector(".region").replaceChildren();
    if (table.open) fillTable(group);
    if (group.seen) draw(group);
  }

  function files(group, chart) {
    const box = group.node.querySelector("[data-files]");
    const link = (text, address, name) => {
      const a = document.createElement("a");
      a.textContent = text;
      a.href = address;
      if (name) a.download = name;
      return a;
    };
    const base = "../charts/";
    const made = [];
    if (chart.still) for (const kind of ["svg", "png"]) {
      made.push(link(kind.toUpperCase(), `${base}${encodeURIComponent(chart.files)}.${kind}`));
    }
    made.push(link("CSV", `${base}${encodeURIComponent(chart.csv)}.csv`));
    const save = document.createElement("button");
    save.type = "button";
    save.className = "copy";
    save.textContent = "Save as shown (SVG)";
    save.addEventListener("click", async () => {
      if (!group.result) return;
      const url = await group.result.view.toImageURL("svg");
      const a = link("", url, `${chart.files}.svg`);
      document.body.append(a);
      a.click();
      a.remove();
    });
    box.replaceChildren(...made, save);
  }

  function fillTable(group) {
    const region = group.node.querySelector("[data-table] .region");
    if (region.childElementCount) return;
    const rows = rowsOf(group.chart().data);
    const names = Object.keys(rows[0] ?? {});
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const name of names) {
      const th = document.createElement("th");
      th.scope = "col";
      th.textContent = name;
      head.append(th);
    }
    const body = table.createTBody();
    for (const row of rows.slice(0, MOST_ROWS)) {
      const line = body.insertRow();
      for (const name of names) {
        const value = row[name];
        const cell = line.insertCell();
        if (typeof value === "number") cell.className = "num";
        cell.textContent = value === null || value === undefined ? "-" : String(value);
      }
    }
    region.replaceChildren(table);
    if (rows.length > MOST_ROWS) {
      const more = document.createElement("p");
      more.textContent = `${rows.length - MOST_ROWS} more rows are in the CSV.`;
      region.append(more);
    }
  }

  function begin(node) {
    const charts = payload.charts.filter((chart) => chart.group === node.dataset.group);
    const box = node.querySelector("[data-chart]");
    if (!charts.length || !box) return;
    const group = {
      node, box, charts, controls: node.querySelector("[data-controls]"), wanted: { ...charts[0].choices }, last: "",
      drawn: 0, seen: false, result: null,
      chart: () => choose(group),
      unit: (view) => view.signal("unit")?.mark?.name ?? storeOf(group)[0]?.unit ?? "",
    };
    groups.set(node.dataset.group, group);
    controls(group);
    refresh(group);
    node.querySelector("[data-table]").addEventListener("toggle", () => fillTable(group));
  }

  function paintKeys() {
    const set = isDark() ? colors.dark : colors.light;
    for (const svg of document.querySelectorAll(".pick svg")) svg.style.fill = set[Number(svg.dataset.place)];
  }

  function redraw() {
    paintKeys();
    for (const group of groups.values()) if (group.seen) draw(group);
  }

  for (const node of document.querySelectorAll("[data-group]")) begin(node);
  document.querySelector(".methods")?.removeAttribute("hidden");
  for (const key of document.querySelectorAll(".pick[data-method]")) {
    key.addEventListener("click", () => {
      const name = key.dataset.method;
      if (!picked.delete(name)) picked.add(name);
      showAll();
    });
  }
  document.getElementById("all-methods")?.addEventListener("click", () => { picked.clear(); showAll(); });
  document.addEventListener("gantlet-theme", redraw);
  const sight = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const group = groups.get(entry.target.dataset.group);
      if (!entry.isIntersecting || group.seen) continue;
      group.seen = true;
      draw(group);
    }
  }, { rootMargin: "300px" });
  for (const group of groups.values()) sight.observe(group.node);
  let waiting = 0, last = innerWidth;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { if (innerWidth !== last) { last = innerWidth; redraw(); } }, 150);
  });
  addEventListener("beforeprint", () => {
    for (const group of groups.values()) if (!group.seen) { group.seen = true; draw(group); }
  });
  paintKeys();
})();
