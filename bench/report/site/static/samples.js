// The sample browser. What is shown is one state, kept in the address's hash; all text is put in as text, never as markup.
"use strict";
(() => {
  const page = JSON.parse(document.getElementById("sample-data").textContent);
  const $ = (id) => document.getElementById(id);
  const boxes = (name) => [...document.querySelectorAll(`input[name="${name}"]`)];
  const values = (id) => [...$(id).options].map((option) => option.value);
  const files = new Map();
  const loading = new Map();
  const defaults = {
    data: "0", split: values("split")[0], decoding: null, seed: values("seed")[0] || "0", per: $("per").value, index: 0,
    methods: boxes("method").filter((box) => "default" in box.dataset).map((box) => box.value),
    stages: boxes("stage").filter((box) => "default" in box.dataset).map((box) => box.value),
    find: "", compare: false,
  };
  let state = { ...defaults };
  let turn = 0, steps = { back: null, on: null };

  // what the scripts with the data call; each is loaded when it is first needed
  window.gantletSamples = (number, content) => files.set(number, content);

  function load(number) {
    if (!loading.has(number)) {
      loading.set(number, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        const address = `${page.folder}/${number}.js`;
        script.src = address;
        script.onload = script.onerror = () => {
          script.remove();
          if (files.has(number)) return resolve();
          loading.delete(number);
          return reject(new Error(`samples/${address} is not there or can't be read: make the report again.`));
        };
        document.head.append(script);
      }));
    }
    return loading.get(number);
  }

  const fileOf = (decoding) => page.files[`${state.data}|${state.split}|${decoding}`];
  const needed = () => [fileOf(state.decoding), fileOf(""), fileOf(page.sources)].filter((number) => number !== undefined);

  const group = () => page.groups[Number(state.data)];
  const decodings = () => group().decodings[state.split] || [];

  function settle() {
    if (!page.groups[Number(state.data)]) state.data = "0";
    const splits = Object.keys(group().decodings);
    if (!splits.includes(state.split)) state.split = splits[0];
    const known = decodings().map(([name]) => name);
    if (!known.includes(state.decoding)) {
      const plain = decodings().find(([, temperature]) => temperature === 1) || decodings()[0];
      state.decoding = plain ? plain[0] : "";
    }
    for (const id of ["seed", "per"]) if (!values(id).includes(state[id])) state[id] = defaults[id];
    state.index = Math.max(0, Math.floor(state.index) || 0);
  }

  function fromAddress() {
    const told = new URLSearchParams(location.hash.slice(1));
    const listed = (name, among) => {
      if (!told.has(name)) return defaults[name];
      const known = among.map((box) => box.value);
      return told.getAll(name).filter((value) => known.includes(value));
    };
    state = {
      data: told.get("data") ?? defaults.data,
      split: told.get("split") ?? defaults.split,
      decoding: told.get("decoding"),
      seed: told.get("seed") ?? defaults.seed,
      per: told.get("per") ?? defaults.per,
      index: Number(told.get("index") ?? 0),
      methods: listed("methods", boxes("method")),
      stages: listed("stages", boxes("stage")),
      find: told.get("find") ?? "",
      compare: told.get("compare") === "1",
    };
    settle();
  }

  function toAddress() {
    const told = new URLSearchParams();
    for (const name of ["data", "split", "seed", "per"]) if (state[name] !== defaults[name]) told.set(name, state[name]);
    if (state.decoding) told.set("decoding", state.decoding);
    for (const name of ["methods", "stages"]) {
      if (state[name].join("\n") === defaults[name].join("\n")) continue;
      for (const value of state[name].length ? state[name] : [""]) told.append(name, value);
    }
    if (state.find) told.set("find", state.find);
    if (state.compare) told.set("compare", "1");
    told.set("index", state.index);
    history.replaceState(null, "", `#${told}`);
  }

  function toControls() {
    for (const id of ["data", "split", "seed", "per"]) $(id).value = state[id];
    const methods = new Set(page.columns.filter((one) => String(one.group) === state.data).map((one) => one.label));
    for (const box of boxes("method")) {
      box.checked = state.methods.includes(box.value);
      box.closest("label").hidden = !methods.has(box.value);
    }
    for (const box of boxes("stage")) box.checked = state.stages.includes(box.value);
    if ($("find").value !== state.find) $("find").value = state.find;
    $("index").value = state.index;
    const why = group().why;
    $("compare").checked = state.compare && !why;
    $("compare").disabled = Boolean(why);
    $("no-compare").hidden = !why;
    $("no-compare").textContent = why ? `No comparison with the training text: ${why}.` : "";
    $("legend").hidden = !$("compare").checked;
    decodingControls();
  }

  function decodingControls() {
    const found = decodings(), free = group().kind === "free";
    $("decoding-label").hidden = free || found.length < 2;
    $("temperature-field").hidden = !free || found.length < 1;
    if (!free) {
      if (values("decoding").join() !== found.map(([name]) => name).join()) {
        $("decoding").replaceChildren(...found.map(([name]) => new Option(name, name)));
      }
      $("decoding").value = state.decoding;
      return;
    }
    const slider = $("temperature"), place = found.findIndex(([name]) => name === state.decoding);
    slider.max = Math.max(0, found.length - 1);
    slider.value = place;
    slider.disabled = found.length < 2;
    if ($("temperatures").children.length !== found.length) {
      $("temperatures").replaceChildren(...found.map((_, tick) => new Option("", tick)));
    }
    const said = place < 0 ? "-" : temperatureOf(state.decoding);
    slider.setAttribute("aria-valuetext", `temperature ${said}`);
    $("temperature-value").textContent = said;
  }

  const temperatureOf = (decoding) => {
    const found = decodings().find(([name]) => name === decoding);
    return String(found ? found[1] : decoding);
  };
  const wayOf = (decoding) => (group().kind === "free" ? `temperature ${temperatureOf(decoding)}` : decoding);

  const make = (tag, fields = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), fields);
    element.append(...children);
    return element;
  };
  const count = (number) => number.toLocaleString("en");
  const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

  // marks that draw nothing, or turn the order of what follows, are shown by their number
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;
  const visible = (text) => text.replace(HIDDEN, (mark) => {
    const code = mark.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });

  function searched() {
    const wanted = state.find.trim();
    return wanted ? new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "giu") : null;
  }

  function hits(text, wanted) {
    return wanted ? [...text.matchAll(wanted)].map((hit) => [hit.index, hit.index + hit[0].length]) : [];
  }

  // the part of a text from begin to end, with what was searched for in <mark>
  function* pieces(text, begin, end, found) {
    let at = begin;
    for (const [from, to] of found) {
      const left = Math.max(at, from), right = Math.min(end, to);
      if (left >= right) continue;
      if (left > at) yield visible(text.slice(at, left));
      yield make("mark", {}, visible(text.slice(left, right)));
      at = right;
    }
    if (at < end) yield visible(text.slice(at, end));
  }

  const languageOf = (text) => (/[\u3040-\u30ff]/.test(text) ? "ja" : /[\u3400-\u9fff]/.test(text) ? "zh" : "");

  // entry: a text, or its beginning and whole length; runs: lengths in turn plain and marked
  function shownText(entry, wanted, runs = [], tag = "ins") {
    const [text, whole] = Array.isArray(entry) ? entry : [entry, 0];
    const out = make("p", { className: "text", dir: "auto", lang: languageOf(text) });
    if (!text.trim()) {
      const what = text ? `(only white space: ${plural(text.length, "character", "characters")})` : "(empty)";
      out.append(make("em", { className: "muted", lang: "en" }, what));
      return out;
    }
    const found = hits(text, wanted);
    let at = 0;
    [...runs, text.length].forEach((length, place) => {
      const end = Math.min(text.length, at + length);
      if (end <= at) return;
      const marked = place % 2 === 1 && place < runs.length;
      if (marked) out.append(make(tag, {}, ...pieces(text, at, end, found)));
      else out.append(...pieces(text, at, end, found));
      at = end;
    });
    if (whole) out.append(make("span", { className: "muted", lang: "en" }, ` … (the first ${count(text.length)} of ${count(whole)} characters)`));
    return out;
  }

  const plainText = (entry) => (Array.isArray(entry) ? entry[0] : entry);
  function columnsShown() {
    const absent = [], shown = [];
    page.columns.forEach((column, place) => {
      if (String(column.group) !== state.data || !state.methods.includes(column.label)) return;
      if (!column.reference && (String(column.seed) !== state.seed || !state.stages.includes(column.stage))) return;
      const content = [state.decoding, ""].map((decoding) => [fileOf(decoding), decoding])
        .find(([file, decoding]) => file !== undefined && `${state.split}|${decoding}` in column.sets);
      if (content) shown.push({ column, place, file: content[0], way: content[1] });
      else absent.push(`${column.label}, ${column.said}: ${missing(column)}`);
    });
    return { shown, absent: [...absent, ...withoutStage(shown)] };
  }

  function missing(column) {
    const skipped = column.skipped[`${state.split}|${state.decoding}`];
    if (skipped) return skipped;
    const there = Object.keys(column.sets).filter((key) => key.startsWith(`${state.split}|`)).map((key) => wayOf(key.split("|")[1]));
    return there.length ? `no samples at ${wayOf(state.decoding)}, only at ${there.join(", ")}` : `no samples of the split ${state.split}`;
  }

  // chosen methods of which nothing at all has this seed and these stages
  function withoutStage(shown) {
    const here = page.columns.filter((one) => String(one.group) === state.data);
    return state.methods.filter((label) => here.some((one) => one.label === label)).flatMap((label) => {
      const own = here.filter((one) => one.label === label);
      if (own.some((one) => one.reference)) return [];
      const seeded = own.filter((one) => String(one.seed) === state.seed);
      if (!seeded.length) return [`${label}: no samples with seed ${state.seed}`];
      if (!state.stages.length || seeded.some((one) => state.stages.includes(one.stage))) return [];
      return [`${label}: no such stage, only ${seeded.map((one) => one.said).join(", ")}`];
    });
  }

  function samplesAt(index, shown) {
    const sourceFile = fileOf(page.sources);
    const pair = sourceFile === undefined ? null : files.get(sourceFile).sources[index] || null;
    const cards = shown.flatMap(({ column, place, file, way }) => {
      const content = files.get(file), text = content.texts[place][index];
      if (text === undefined) return [];
      const near = state.compare && content.near[place] ? content.near[place][index] : null;
      return [{ column, way, text, near, sentence: near ? content.train[near[0]] : null }];
    });
    return { index, pair, cards };
  }

  const textsOf = ({ pair, cards }) => [
    ...(pair ? [...pair[0], ...pair[1]] : []),
    ...cards.flatMap((card) => (card.sentence === null ? [card.text] : [card.text, card.sentence])),
  ].map(plainText);

  function draw() {
    const { shown, absent } = columnsShown();
    const wanted = searched();
    const length = Math.max(0, ...shown.map(({ place, file }) => files.get(file).texts[place].length));
    let listed = Array.from({ length }, (_, index) => samplesAt(index, shown));
    if (wanted) listed = listed.filter((one) => textsOf(one).some((text) => hits(text, wanted).length));
    const per = Number(state.per), from = startOf(listed, per);
    const some = listed.slice(from, from + per);
    state.index = some.length ? some[0].index : Math.min(state.index, Math.max(0, length - 1));
    $("index").value = state.index;
    $("absent").replaceChildren(...absent.map((line) => make("li", {}, line)));
    $("results").replaceChildren(...some.map((one) => section(one, wanted)));
    if (!shown.length) $("results").append(make("p", { className: "panel" }, "Nothing is chosen that has samples: choose a method and a stage above."));
    $("results").setAttribute("aria-busy", "false");
    $("status").textContent = told(some, listed, length, wanted);
    steps = { back: from > 0 ? listed[Math.max(0, from - per)].index : null, on: from + per < listed.length ? listed[from + per].index : null };
    for (const [name, where] of [["previous", steps.back], ["next", steps.on]]) {
      for (const button of document.querySelectorAll(`.${name}`)) button.setAttribute("aria-disabled", String(where === null));
    }
    toAddress();
  }

  // the place in the list of the index asked for, or of the next that is listed; the last where there is none
  function startOf(listed, per) {
    const place = listed.findIndex((one) => one.index >= state.index);
    return place >= 0 ? place : Math.max(0, listed.length - Math.min(per, 1));
  }

  function told(some, listed, length, wanted) {
    const what = wanted ? `${listed.length} of ${length} indices hold “${state.find.trim()}”` : "";
    if (!some.length) return what || "No samples";
    const first = some[0].index, last = some[some.length - 1].index;
    const where = first === last ? `Index ${first}` : `Indices ${first} to ${last}`;
    const way = state.decoding ? `, ${wayOf(state.decoding)}` : "";
    return wanted ? `${what}; ${where.toLowerCase()}${way}` : `${where} (there are 0 to ${length - 1})${way}`;
  }

  function section({ index, pair, cards }, wanted) {
    const heading = make("h2", { id: `at-${index}` }, `Index ${index}`);
    const out = make("section", { className: "at" }, heading);
    out.setAttribute("aria-labelledby", heading.id);
    if (pair) {
      const references = pair[1].length > 1 ? "References" : "Reference";
      out.append(make("div", { className: "givens" }, given("Source", pair[0], wanted), given(references, pair[1], wanted)));
    }
    out.append(make("div", { className: "cards" }, ...cards.map((card) => cardOf(card, wanted))));
    return out;
  }

  function given(name, texts, wanted) {
    const long = texts.reduce((sum, text) => sum + plainText(text).length, 0) > 700;
    const body = make("div", { className: long ? "given-text long" : "given-text" }, ...texts.map((text) => shownText(text, wanted)));
    if (long) {
      body.tabIndex = 0;
      body.setAttribute("role", "region");
      body.setAttribute("aria-label", `${name}, to be scrolled`);
    }
    return make("div", { className: "given" }, make("h3", {}, name), body);
  }

  function cardOf({ column, text, near, sentence }, wanted) {
    const name = make("h3", {}, make("a", { href: column.href }, column.label));
    const note = column.reference || (boxes("stage").length > 1 ? column.said : "");
    if (note) name.append(make("span", { className: "muted" }, ` ${note}`));
    const out = make("article", { className: column.reference ? "card reference" : "card" }, name, shownText(text, wanted, near ? near[3] : []));
    if (near === 0 && plainText(text).trim()) out.append(make("p", { className: "near small" }, "Copied: no word. No training sentence has any of its words."));
    if (near) out.append(nearest(near, sentence, wanted));
    return out;
  }

  // what is counted: of text without spaces each character
  function wordsOf(text) {
    const alone = /[\u3040-\u30ff\u3400-\u9fff]/.test(text), spaced = /\p{Script=Latin}/u.test(text);
    return alone ? (spaced ? ["word or character", "words and characters"] : ["character", "characters"]) : ["word", "words"];
  }

  function nearest([line, copied, words, own, others], sentence, wanted) {
    const share = (copied / words).toFixed(2).replace(/^0/, "");
    const same = !own.length && !others.length && !Array.isArray(sentence);
    const head = same ? "Copied: the whole" : `Copied: ${copied} of ${plural(words, ...wordsOf(plainText(sentence)))} (${share})`;
    const which = `${same ? "is" : "from"} training sentence ${count(line + 1)} of ${count(group().lines)}`;
    return make("div", { className: "near" },
      make("p", { className: "small" }, make("b", {}, head), ` ${which}`),
      shownText(sentence, wanted, others, "del"));
  }

  async function show() {
    const mine = ++turn;
    settle();
    toControls();
    const missingFiles = needed().filter((number) => !files.has(number));
    if (missingFiles.length) {
      $("results").setAttribute("aria-busy", "true");
      try {
        await Promise.all(missingFiles.map(load));
      } catch (error) {
        if (mine === turn) $("status").textContent = error.message;
        return;
      }
    }
    if (mine === turn) draw();
  }

  function change(fields) {
    Object.assign(state, fields);
    show();
  }

  function step(where) {
    if (where === null) return;
    change({ index: where });
    if ($("results").getBoundingClientRect().top < 0) document.querySelector(".pager").scrollIntoView();
  }

  const chosen = (name) => boxes(name).filter((box) => box.checked).map((box) => box.value);
  for (const id of ["data", "split", "decoding", "seed", "per"]) $(id).addEventListener("change", () => change({ [id]: $(id).value }));
  for (const name of ["method", "stage"]) {
    for (const box of boxes(name)) box.addEventListener("change", () => change({ [`${name}s`]: chosen(name) }));
  }
  for (const [id, all] of [["all", true], ["none", false]]) {
    $(id).addEventListener("click", () => change({ methods: all ? boxes("method").map((box) => box.value) : [] }));
  }
  $("temperature").addEventListener("input", () => change({ decoding: decodings()[Number($("temperature").value)][0] }));
  $("compare").addEventListener("change", () => change({ compare: $("compare").checked }));
  $("find").addEventListener("input", () => change({ find: $("find").value, index: 0 }));
  $("browser").addEventListener("submit", (event) => event.preventDefault());
  $("jump").addEventListener("submit", (event) => {
    event.preventDefault();
    change({ index: Number($("index").value) });
  });
  for (const button of document.querySelectorAll(".previous")) button.addEventListener("click", () => step(steps.back));
  for (const button of document.querySelectorAll(".next")) button.addEventListener("click", () => step(steps.on));
  document.addEventListener("keydown", (event) => {
    const busy = event.target.closest("input, select, textarea, [tabindex]");
    if (busy || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.key === "ArrowLeft") step(steps.back);
    else if (event.key === "ArrowRight") step(steps.on);
    else return;
    event.preventDefault();
  });
  window.addEventListener("hashchange", () => { fromAddress(); show(); });
  fromAddress();
  show();
})();
