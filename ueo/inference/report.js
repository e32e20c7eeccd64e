"use strict";
// #data holds the numbers of all images and the thumbnails of some. All text is set as textContent, so
// that no name of a file or a class can act as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const numbers = (kind, text) => text === null ? null
  : new kind(Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer);
const scores = numbers(Float64Array, data.scores);
const predictions = numbers(Int32Array, data.predictions);
const before = numbers(Int32Array, data.before);
const labels = numbers(Int32Array, data.labels);
const shown = new Map(data.shown.map(([index, file, probability, image]) =>
  [index, { index, file, probability, image }]));  // by descending score
const inOrder = [...shown.values()];
const least = scores.reduce((a, b) => Math.min(a, b), Infinity);
const greatest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
const width = greatest - least || 1;
const NEAR = 8, LISTED = 60, BINS = 60, LARGEST_MATRIX = 30, STEPS = 1000;
const start = data.threshold ?? least;
let threshold = start;

const whole = (n) => n.toLocaleString("en");
const percent = (part, all) => all ? `${(100 * part / all).toFixed(1)} %` : "–";
const short = (score) => Number(score.toPrecision(4)).toString();
const images = (n) => `${whole(n)} image${n === 1 ? "" : "s"}`;

function element(name, properties = {}, children = []) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function table(place, head, rows) {
  const cell = (name) => (text, i) => element(name, { textContent: text,
    ...(name === "th" ? { scope: "col" } : {}) });
  place.replaceChildren(element("thead", {}, [element("tr", {}, head.map(cell("th")))]),
    element("tbody", {}, rows.map((row) => element("tr", {}, row.map(cell("td"))))));
}

// thumbnails

function card(image, caption) {
  const known = scores[image.index] >= threshold;
  const name = data.classes[predictions[image.index]];
  const picture = image.image
    ? element("img", { src: `data:image/jpeg;base64,${image.image}`, alt: `${image.file}: ${name}`,
      loading: "lazy" })
    : element("span", { className: "missing", textContent: "cannot be shown" });
  const likely = image.probability === null ? "" : `${(100 * image.probability).toFixed(1)}\u00a0% · `;
  const made = element("figure", { title: image.file }, [picture, element("figcaption", {}, [
    element("span", { className: "class-of", textContent: caption ?? name }),
    element("span", { className: "numbers", textContent: likely + short(scores[image.index]) }),
    element("span", { className: "verdict" }),
    element("span", { className: "file", textContent: image.file }),
  ])]);
  made.dataset.index = image.index;
  judge(made, known);
  return made;
}

function judge(figure, known) {
  figure.classList.toggle("none", !known);
  figure.querySelector(".verdict").textContent = known ? "known" : "none of these";
}

function fill(place, list, empty, caption = () => undefined) {
  place.replaceChildren(...(list.length ? list.map((image) => card(image, caption(image)))
    : [element("p", { className: "empty", textContent: empty })]));
}

// histogram

const counted = new Array(BINS).fill(0);
for (const score of scores) counted[Math.min(BINS - 1, Math.floor((score - least) / width * BINS))]++;
const SIZE = [720, 160], SIDE = 4;
const across = (score) => SIDE + (score - least) / width * (SIZE[0] - 2 * SIDE);

function svg(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function drawHistogram(known) {
  const [right, bottom] = SIZE, most = Math.max(...counted);
  const picture = svg("svg", { viewBox: `0 0 ${SIZE.join(" ")}`, preserveAspectRatio: "none", role: "img",
    "aria-label": `Histogram of ${whole(scores.length)} scores from ${short(least)} to `
      + `${short(greatest)}; threshold ${short(threshold)}, ${whole(known)} known` });
  counted.forEach((n, i) => {
    const [low, high] = [i, i + 1].map((edge) => least + edge / BINS * width);
    const height = n && Math.max(1, n / most * (bottom - 6));
    const bar = (from, to, kind) => to > from && picture.append(svg("rect", { class: kind,
      x: across(from), width: Math.max(.2, across(to) - across(from) - .8),
      y: bottom - height, height }));
    const cut = Math.min(Math.max(threshold, low), high);
    bar(low, cut, "none");
    bar(cut, high, "known");
  });
  const line = (x, kind, top) => svg("line", { class: kind, x1: x, x2: x, y1: top, y2: bottom });
  picture.append(svg("line", { class: "axis", x1: 0, x2: right, y1: bottom, y2: bottom }));
  if (data.threshold !== null && threshold !== start) picture.append(line(across(start), "start", 0));
  const x = Math.min(Math.max(across(threshold), SIDE), right - SIDE);
  picture.append(line(x, "at", 0));
  $("histogram").replaceChildren(picture, element("p", { className: "ends" },
    [short(least), `threshold ${short(threshold)}`, short(greatest)].map((text) =>
      element("span", { textContent: text }))));
}

// classes

const members = data.classes.map((name, id) => ({ id, name, all: 0, known: 0 }));
for (const id of predictions) members[id].all++;
const present = members.filter((one) => one.all).sort((a, b) => b.all - a.all || a.id - b.id);

function openClass(one, place) {
  if (place.childElementCount > 1) return;
  const [most, last] = data.byClass[one.id] ?? [[], []];
  const all = most.length + last.length === one.all;
  const parts = most.length === 0 ? [] : !last.length ? [["All, highest score first", most]]
    : [[all ? "Highest scores" : `The ${most.length} highest scores`, most],
       [all ? "Lowest scores" : `The ${last.length} lowest scores`, last]];
  const body = parts.flatMap(([title, list]) => {
    const thumbs = element("div", { className: "thumbs" });
    fill(thumbs, list.map((index) => shown.get(index)), "");
    return [element("h4", { textContent: title }), thumbs];
  });
  place.append(element("div", {}, body.length ? body
    : [element("p", { textContent: "No image of this class is shown here; see predictions.csv." })]));
}

function listClasses() {
  for (const one of present) {
    one.bars = ["none", "known"].map((kind) => element("span", { className: `part ${kind}` }));
    one.count = element("span", { className: "count" });
    const place = element("details", {}, [element("summary", {}, [
      element("span", { className: "name", textContent: one.name }),
      element("span", { className: "stack", ariaHidden: "true" }, one.bars), one.count])]);
    place.addEventListener("toggle", () => place.open && openClass(one, place));
    one.place = place;
    $("class-list").append(place);
  }
  setOpen(present.length <= 12);
  $("open-all").onclick = () => setOpen(true);
  $("close-all").onclick = () => setOpen(false);
  addEventListener("beforeprint", () => setOpen(true));
  const without = members.filter((one) => !one.all).map((one) => one.name);
  const more = without.length > 100 ? ` and ${whole(without.length - 100)} more` : "";
  $("empty-classes").textContent = without.length
    ? `Classes without an image: ${without.slice(0, 100).join(", ")}${more}.` : "";
  $("about-classes").textContent = `${whole(present.length)} of ${whole(members.length)} classes were `
    + "predicted. Each bar shows known images and, at its beginning, those that are none of these.";
}

function setOpen(open) {
  for (const one of present) {
    if (open) openClass(one, one.place);
    one.place.open = open;
  }
}

function countClasses() {
  members.forEach((one) => { one.known = 0; });
  let known = 0;
  for (let i = 0; i < scores.length; i++) {
    if (scores[i] >= threshold) { known++; members[predictions[i]].known++; }
  }
  for (const one of present) {
    const share = 100 * one.all / present[0].all, none = one.all - one.known;
    one.bars[0].style.width = `${share * none / one.all}%`;
    one.bars[1].style.width = `${share * one.known / one.all}%`;
    one.count.textContent = `${images(one.all)}${none ? `, ${whole(none)} none of these` : ""}`;
  }
  return known;
}

// against the labels

function againstLabels() {
  const count = data.classes.length, NONE = count;  // column, and row of the unknown classes
  const cells = new Map(), rows = new Array(count + 1).fill(0), right = new Array(count).fill(0);
  let refused = 0;
  for (let i = 0; i < scores.length; i++) {
    if (labels[i] < 0) continue;
    const row = Math.min(labels[i], count), column = scores[i] >= threshold ? predictions[i] : NONE;
    rows[row]++;
    if (row === column) { if (row === NONE) refused++; else right[row]++; }
    const key = row * (count + 1) + column;
    cells.set(key, (cells.get(key) ?? 0) + 1);
  }
  const recalls = right.map((n, id) => n / rows[id]).filter(Number.isFinite);
  const mean = recalls.length ? recalls.reduce((a, b) => a + b, 0) / recalls.length : null;
  const unknown = rows[NONE] ? refused / rows[NONE] : null;
  const both = mean === null || unknown === null ? null
    : mean + unknown ? 2 * mean * unknown / (mean + unknown) : 0;
  const said = (share) => share === null ? "not defined here" : percent(share, 1);
  table($("at-threshold"), ["", "share"], [
    ["images of known classes: called known, and the right class (mean over classes)", said(mean)],
    ["images of unknown classes: called none of these", said(unknown)],
    ["H-score, the harmonic mean of both", said(both)]]);
  drawConfusion(cells, rows, count);
}

function drawConfusion(cells, rows, count) {
  const names = [...data.classes, "unknown classes"];
  const columns = [...data.classes, "none of these"], there = rows.map((n, id) => id).filter((id) => rows[id]);
  const place = $("confusion"), grid = count <= LARGEST_MATRIX;
  place.className = grid ? "grid" : "list";
  if (!grid) {
    const wrong = [...cells].map(([key, n]) => [Math.floor(key / (count + 1)), key % (count + 1), n])
      .filter(([row, column]) => row !== column).sort((a, b) => b[2] - a[2]).slice(0, LARGEST_MATRIX);
    $("about-confusion").textContent = `The most frequent mistakes among ${whole(count)} classes.`;
    table(place, ["label", "prediction", "images"], wrong.map(([r, c, n]) => [names[r], columns[c], whole(n)]));
    return;
  }
  $("about-confusion").textContent = "Rows are labels, columns predictions at this threshold; correct "
    + "ones have a frame.";
  const head = element("tr", {}, [element("th", { textContent: "label" }), ...columns.map((name) =>
    element("th", { scope: "col", title: name }, [element("span", { textContent: name })]))]);
  place.replaceChildren(element("thead", {}, [head]), element("tbody", {}, there.map((row) =>
    element("tr", {}, [element("th", { scope: "row", textContent: names[row] }),
      ...columns.map((_, column) => {
        const n = cells.get(row * (count + 1) + column) ?? 0;
        const cell = element("td", { textContent: n ? whole(n) : "", className: row === column ? "right" : "" });
        cell.style.background = n ? `rgba(var(--shade), ${.1 + .4 * n / rows[row]})` : "";
        return cell;
      })]))));
}

// what the reader moves

function show() {
  const known = countClasses(), none = scores.length - known;
  $("known").textContent = whole(known);
  $("none").textContent = whole(none);
  const all = data.threshold === null && threshold === start ? "No threshold: every image counts as known. " : "";
  $("verdicts").textContent = `${all}${whole(known)} known (${percent(known, scores.length)}), `
    + `${whole(none)} none of these (${percent(none, scores.length)})`;
  $("reset").disabled = threshold === start;
  drawHistogram(known);
  const above = inOrder.filter((image) => scores[image.index] >= threshold);
  const below = inOrder.slice(above.length);
  fill($("above"), above.slice(-NEAR).reverse(), "No image shown here is above it.");
  fill($("below"), below.slice(0, NEAR), "No image shown here is below it.");
  fill($("none-list"), below.slice(-LISTED).reverse(), "None at this threshold.");
  $("about-none").textContent = none
    ? `${images(none)} at this threshold; ${whole(Math.min(below.length, LISTED))} of them here, lowest scores first.`
    : "";
  for (const figure of document.querySelectorAll("#class-list figure, #changed-list figure")) {
    judge(figure, scores[figure.dataset.index] >= threshold);
  }
  if (data.command) $("command").replaceChildren(element("p", { textContent: "New images, with this threshold:" }),
    element("code", { textContent: `${data.command} --threshold ${threshold}` }));
  if (labels) againstLabels();
}

let waiting = false;
function move(value) {
  threshold = value;
  if (!waiting) requestAnimationFrame(() => { waiting = false; show(); });
  waiting = true;
}

function listChanged() {
  const pairs = new Map();
  let changed = 0;
  for (let i = 0; before && i < predictions.length; i++) {
    if (before[i] === predictions[i]) continue;
    changed++;
    const key = `${before[i]} ${predictions[i]}`;
    pairs.set(key, (pairs.get(key) ?? 0) + 1);
  }
  $("changed-card").hidden = $("changed-section").hidden = !before;
  $("changed").textContent = whole(changed);
  if (!before) return;
  const list = data.changed.map((index) => shown.get(index));
  $("about-changed").textContent = changed ? `${images(changed)} of ${whole(scores.length)} `
    + `(${percent(changed, scores.length)}) have another class than before adaptation; `
    + `${whole(list.length)} of them here, highest scores first.` : "";
  const name = (id) => data.classes[id];
  const frequent = [...pairs].sort((a, b) => b[1] - a[1]).slice(0, 10);
  if (changed) table($("transitions"), ["before", "after", "images"], frequent.map(([key, n]) =>
    [...key.split(" ").map(name), whole(n)]));
  fill($("changed-list"), list, "No image has another class than before.",
    (image) => `${name(before[image.index])} → ${name(predictions[image.index])}`);
}

function begin() {
  $("subtitle").textContent = data.subtitle;
  $("images").textContent = whole(scores.length);
  $("skipped").textContent = whole(data.notRead);
  $("skipped-card").hidden = $("skipped-section").hidden = !data.notRead;
  $("about-skipped").textContent = "All are listed in skipped.csv beside this page"
    + (data.skipped.length < data.notRead ? `; here are the first ${data.skipped.length}.` : ".");
  table($("skipped-list"), ["file", "why it was not read"], data.skipped);
  $("sentences").replaceChildren(...data.sentences.map((text) => element("p", { textContent: text })));
  $("facts").replaceChildren(...data.facts.flatMap(([name, value]) =>
    [element("dt", { textContent: name }), element("dd", { textContent: value })]));
  $("labels-section").hidden = !labels;
  if (labels) table($("metrics"), ["", ...data.metrics.columns], data.metrics.rows);
  listClasses();
  listChanged();
  const slider = $("slider"), exact = $("threshold");
  const place = () => {
    slider.value = Math.round((threshold - least) / width * STEPS);
    slider.setAttribute("aria-valuetext", short(threshold));
  };
  const write = () => { exact.value = Number(threshold.toPrecision(7)); };
  slider.addEventListener("input", () => {
    move(least + slider.value / STEPS * width);
    slider.setAttribute("aria-valuetext", short(threshold));
    write();
  });
  exact.addEventListener("input", () => {
    if (Number.isFinite(exact.valueAsNumber)) { move(exact.valueAsNumber); place(); }
  });
  $("reset").addEventListener("click", () => { move(start); place(); write(); });
  place();
  write();
  show();
}

begin();
