"use strict";
const $ = (id) => document.getElementById(id);
const canvas = $("canvas");
const shots = []; // {file, answer, bitmap}: the images so far; only the one that is shown has its pixels
let model = null;
let shown = null;
let lit = -1;
const hidden = new Set(); // labels that are switched off

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

async function ask(path, body) {
  const answer = await fetch(path, body ? { method: "POST", body } : {});
  if (answer.ok) return answer;
  let why = `${answer.status} ${answer.statusText}`;
  try {
    why = (await answer.json()).error;
  } catch {}
  throw new Error(why);
}

const formOf = (file) => {
  const form = new FormData();
  form.append("file", file, file.name || "pasted.png");
  return form;
};

async function start() {
  model = await (await ask("model")).json();
  $("model").textContent = model.name;
  document.title = `${model.name} – rdet serve`;
  const facts = [
    [model.classes.length, model.classes.length === 1 ? "class" : "classes"],
    ["", `on ${model.device}`],
    ["", `rdet ${model.version}`],
  ];
  for (const [bold, rest] of facts) {
    const span = document.createElement("span");
    const b = document.createElement("b");
    b.textContent = bold;
    span.append(b, bold === "" ? rest : ` ${rest}`);
    $("facts").append(span);
  }
  $("threshold").value = model.score_thr;
  const at = location.origin + location.pathname.replace(/[^/]*$/, "");
  $("curl").textContent =
    `curl --data-binary @photo.jpg '${at}detect?score_thr=0.5'\n` +
    `curl -F file=@a.jpg -F file=@b.jpg ${at}detect\n` +
    `curl --data-binary @photo.jpg ${at}draw --output drawn.png`;
}

// What is dropped while other images are on their way comes after them.
let before = Promise.resolve();
const take = (files) => {
  const chosen = [...files].filter((file) => file instanceof File);
  before = before.then(() => takeAll(chosen));
};

async function takeAll(chosen) {
  if (!chosen.length) return say("That holds no file. Drop, choose or paste an image.", true);
  try {
    model ?? (await start());
  } catch {
    return say("The service does not answer. Is it running?", true);
  }
  const wrong = [];
  for (const [index, file] of chosen.entries()) {
    const of = chosen.length > 1 ? `${index + 1} of ${chosen.length}: ` : "";
    say(`${of}${file.name} …`);
    try {
      if (file.size > model.max_bytes) throw new Error(`${file.name} has ${file.size} bytes; the service takes up to ${model.max_bytes}`);
      const begun = performance.now();
      const answer = await (await ask("detect?score_thr=0", formOf(file))).json();
      const shot = { file, answer: answer.images[0], ms: answer.ms, all: performance.now() - begun };
      shots.push(shot);
      await show(shot);
    } catch (error) {
      if (error instanceof TypeError) return say("The service does not answer. Is it running?", true);
      wrong.push(error.message); // the others may be good
    }
  }
  if (wrong.length) say(wrong.join("; "), true);
}

async function pixels(shot) {
  const { width, height } = shot.answer;
  try {
    const bitmap = await createImageBitmap(shot.file);
    if (bitmap.width === width && bitmap.height === height) return bitmap;
  } catch {}
  // What this browser cannot show, or turns in another way, the service can: boxes of a score of 1 are hardly any.
  return createImageBitmap(await (await ask("draw?score_thr=1", formOf(shot.file))).blob());
}

let asked = 0;
async function show(shot) {
  const mine = ++asked;
  const bitmap = await pixels(shot);
  if (mine !== asked) return bitmap.close(); // another was asked for in the meantime
  shown?.bitmap.close();
  if (shown) shown.bitmap = null;
  shot.bitmap = bitmap;
  shown = shot;
  lit = -1;
  $("drop").hidden = true;
  $("shown").hidden = $("side").hidden = false;
  document.querySelector(".work").classList.add("busy");
  const { file, width, height } = shot.answer;
  say(`${file}: ${width} × ${height} pixels, ${Math.round(shot.ms)} ms in the service, ${Math.round(shot.all)} ms with the way`);
  listImages();
  listClasses();
  update();
}

function listImages() {
  const buttons = shots.map((shot) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = shot.answer.file;
    button.ariaPressed = String(shot === shown);
    button.addEventListener("click", () => shot !== shown && show(shot).catch((error) => say(error.message, true)));
    return button;
  });
  $("strip").replaceChildren(...(shots.length > 1 ? buttons : []));
  $("strip").querySelector("[aria-pressed=true]")?.scrollIntoView({ block: "nearest" });
}

function swatch(label) {
  const mark = document.createElement("span");
  mark.className = "swatch";
  mark.style.background = model.colors[label];
  return mark;
}

function listClasses() {
  const labels = [...new Set(shown.answer.detections.map((found) => found.label))].sort((a, b) => a - b);
  const entries = labels.map((label) => {
    const entry = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !hidden.has(label);
    box.addEventListener("change", () => {
      box.checked ? hidden.delete(label) : hidden.add(label);
      update();
    });
    const text = document.createElement("span");
    entry.dataset.label = label;
    entry.append(box, swatch(label), text);
    return entry;
  });
  $("classes").replaceChildren(...entries);
}

const chosen = () => {
  const least = Number($("threshold").value);
  return shown.answer.detections.filter((found) => found.score >= least && !hidden.has(found.label));
};

function update() {
  const least = Number($("threshold").value);
  $("value").textContent = least.toFixed(2);
  if (!shown) return;
  const all = shown.answer.detections;
  const some = chosen();
  const best = Math.max(...all.map((found) => found.score)); // where the threshold is above all
  const seen = `${some.length} of ${all.length} objects${best < least ? `; the best scores ${best.toFixed(3)}` : ""}`;
  $("count").textContent = all.length ? seen : "nothing was found in this image";
  $("lists").hidden = !all.length;
  for (const entry of $("classes").children) {
    const label = Number(entry.dataset.label);
    const count = all.filter((found) => found.label === label && found.score >= least).length;
    entry.lastChild.textContent = `${model.classes[label]} ${count}`;
    entry.hidden = !count && !hidden.has(label);
  }
  const rows = some.map((found, index) => {
    const row = document.createElement("tr");
    const name = document.createElement("td");
    name.append(swatch(found.label), found.name);
    const [left, top, right, bottom] = found.box;
    const cells = [found.score.toFixed(2), `${Math.round(right - left)} × ${Math.round(bottom - top)}`].map((text) => {
      const cell = document.createElement("td");
      cell.className = "n";
      cell.textContent = text;
      return cell;
    });
    row.append(name, ...cells);
    row.addEventListener("mouseenter", () => light(index));
    row.addEventListener("mouseleave", () => light(-1));
    return row;
  });
  $("rows").replaceChildren(...rows);
  lit = -1;
  draw();
}

function light(index) {
  if (index === lit) return;
  lit = index;
  [...$("rows").rows].forEach((row, at) => row.classList.toggle("lit", at === index));
  draw();
}

let drawing = 0;
function draw() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(() => {
    if (!shown?.bitmap) return;
    const { width, height } = shown.answer;
    const room = $("shown").clientWidth;
    const scale = Math.min(room / width, (0.78 * innerHeight) / height, Math.max(2, 480 / Math.max(width, height)));
    const sharp = devicePixelRatio || 1;
    canvas.style.width = `${width * scale}px`;
    canvas.width = Math.max(1, Math.round(width * scale * sharp));
    canvas.height = Math.max(1, Math.round(height * scale * sharp));
    paint(canvas, scale * sharp, sharp, lit);
  });
}

// Draws image and boxes; scale: of pixels of the image, unit: width of a line.
function paint(target, scale, unit, only) {
  const pen = target.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(shown.bitmap, 0, 0, target.width, target.height);
  const some = chosen();
  const named = some.length <= 60;
  pen.font = `600 ${12 * unit}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  // The best is drawn last, on top, but named first: a name without room is left out.
  const order = some.map((_, index) => index).filter((index) => index !== only);
  if (only >= 0) order.unshift(only);
  for (const index of [...order].reverse()) box(index);
  const names = [];
  for (const index of order) if (index === only || (named && only < 0)) name(index);
  pen.globalAlpha = 1;

  function isBright(color) {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
    return 0.299 * r + 0.587 * g + 0.114 * b > 120;
  }

  function box(index) {
    const [x, y, right, bottom] = some[index].box.map((value) => value * scale);
    const color = model.colors[some[index].label];
    pen.globalAlpha = only >= 0 && index !== only ? 0.35 : 1;
    pen.lineWidth = 4 * unit;
    pen.strokeStyle = isBright(color) ? "rgb(0 0 0 / .5)" : "rgb(255 255 255 / .7)";
    pen.strokeRect(x, y, right - x, bottom - y);
    pen.lineWidth = (index === only ? 3 : 2) * unit;
    pen.strokeStyle = color;
    pen.strokeRect(x, y, right - x, bottom - y);
  }

  function name(index) {
    const [x, y, , bottom] = some[index].box.map((value) => value * scale);
    const color = model.colors[some[index].label];
    const text = `${some[index].name} ${some[index].score.toFixed(2)}`;
    const [width, height] = [pen.measureText(text).width + 8 * unit, 17 * unit];
    const left = Math.max(0, Math.min(x - unit, target.width - width));
    const free = (top) =>
      top >= 0 &&
      top + height <= target.height &&
      !names.some((other) => left < other.left + other.width && other.left < left + width && top < other.top + height && other.top < top + height);
    const top = [y - height, y + unit, bottom + unit, bottom - height].find(free) ?? (index === only ? Math.max(0, y) : null);
    if (top === null) return;
    names.push({ left, top, width });
    pen.globalAlpha = 1;
    pen.fillStyle = color;
    pen.fillRect(left, top, width, height);
    pen.fillStyle = isBright(color) ? "#000" : "#fff";
    pen.fillText(text, left + 4 * unit, top + height / 2 + 0.5 * unit);
  }
}

function save(blob, ending) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = shown.answer.file.replace(/\.\w+$/, "") + ending;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

$("json").addEventListener("click", () => {
  const found = { ...shown.answer, score_thr: Number($("threshold").value), detections: chosen() };
  save(new Blob([JSON.stringify(found, null, 1)], { type: "application/json" }), ".json");
});
$("picture").addEventListener("click", () => {
  const whole = document.createElement("canvas");
  [whole.width, whole.height] = [shown.answer.width, shown.answer.height];
  paint(whole, 1, Math.max(1, Math.max(whole.width, whole.height) / 900), -1);
  whole.toBlob((blob) => (blob ? save(blob, "_drawn.png") : say("The picture is too large for this browser.", true)));
});
canvas.addEventListener("mousemove", (event) => {
  const scale = shown.answer.width / canvas.clientWidth;
  const [x, y] = [event.offsetX * scale, event.offsetY * scale];
  const area = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);
  const under = ({ box: [left, top, right, bottom] }) => left <= x && x <= right && top <= y && y <= bottom;
  const some = chosen();
  const best = some.filter(under).sort((a, b) => area(a) - area(b))[0];
  light(best ? some.indexOf(best) : -1);
});
canvas.addEventListener("mouseleave", () => light(-1));
$("threshold").addEventListener("input", update);
$("again").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  take($("file").files);
  $("file").value = "";
});
addEventListener("paste", (event) => event.clipboardData.files.length && take(event.clipboardData.files));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(event.dataTransfer.files);
});
new ResizeObserver(draw).observe($("shown"));
start().then(update, () => say("The service does not answer. Is it running?", true));
