"use strict";
const $ = (id) => document.getElementById(id);
const LARGEST = 1600; // side of what is drawn, in pixels: a slider that redraws more of them is slow
let session = null;
let said = null;
let bitmap = null;
let found = [];

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

async function load() {
  if (typeof ort === "undefined") throw new Error("onnxruntime-web is not there: npm install onnxruntime-web");
  ort.env.wasm.numThreads = 1; // more need headers that http.server does not send
  ort.env.wasm.wasmPaths = new URL("node_modules/onnxruntime-web/dist/", location.href).href;
  const answer = await fetch("model.onnx");
  if (!answer.ok) throw new Error("there is no model.onnx beside this page; put one there that 'rdet export' wrote");
  const bytes = new Uint8Array(await answer.arrayBuffer());
  said = metadataOf(bytes);
  if (said.head !== "end2end" || said.channels !== 3)
    throw new Error("model.onnx is no file of 'rdet export --head end2end' for colour images");
  session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  say(`${said.classes.length} classes; drop an image`);
}

/** Returns [{box: [left, top, right, bottom], score, label}] of a picture, in its pixels, best first. */
async function detect(picture) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const { images, sizes, shape, scale } = prepared(context.getImageData(0, 0, picture.width, picture.height), said);
  const { boxes, scores, labels, counts } = await session.run({
    images: new ort.Tensor(said.input, images, shape),
    image_sizes: new ort.Tensor("int64", sizes, [shape[0], 2]),
  });
  const count = Number(counts.data[0]);
  if (count < 0) throw new Error("the network gives numbers that are not finite");
  return Array.from({ length: count }, (_, index) => ({
    box: Array.from(boxes.data.subarray(4 * index, 4 * index + 4), (side, axis) => side / scale[axis % 2]),
    score: scores.data[index],
    label: Number(labels.data[index]),
  }));
}

function draw() {
  const least = Number($("threshold").value);
  $("value").textContent = least.toFixed(2);
  if (!bitmap) return;
  const canvas = $("canvas");
  const factor = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * factor));
  canvas.height = Math.max(1, Math.round(bitmap.height * factor));
  canvas.hidden = false;
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const unit = canvas.width / (canvas.clientWidth || canvas.width); // of the screen
  context.lineWidth = 2 * unit;
  context.font = `${12 * unit}px sans-serif`;
  context.textBaseline = "top";
  const shown = found.filter((one) => one.score >= least);
  const worst = [...shown].reverse(); // the best come last, on top
  const hue = (label) => (label * 137.5) % 360;
  for (const { box, label } of worst) {
    const [left, top, right, bottom] = box.map((side) => side * factor);
    context.strokeStyle = `hsl(${hue(label)} 90% 45%)`;
    context.strokeRect(left, top, right - left, bottom - top);
  }
  for (const { box, score, label } of worst) { // after all lines, which would cross them
    const text = `${said.classes[label]} ${score.toFixed(2)}`;
    const width = context.measureText(text).width + 4 * unit;
    const left = Math.max(0, Math.min(box[0] * factor, canvas.width - width));
    const top = Math.max(0, Math.min(box[1] * factor, canvas.height - 15 * unit));
    context.fillStyle = `hsl(${hue(label)} 90% 28%)`; // dark enough for white letters, yellow too
    context.fillRect(left, top, width, 15 * unit);
    context.fillStyle = "white";
    context.fillText(text, left + 2 * unit, top + 2 * unit);
  }
  const best = found.length && found[0].score < least ? `; the best scores ${found[0].score.toFixed(3)}` : "";
  say(found.length ? `${shown.length} of ${found.length} objects${best}` : "nothing was found in this image");
}

const loaded = load();
loaded.catch((error) => say(error.message, true));

// The session runs one image at a time, so what is dropped meanwhile comes after it.
let before = Promise.resolve();
const take = (file) => (before = before.then(() => takeOne(file)));

async function takeOne(file) {
  try {
    await loaded;
    if (!file) throw new Error("that holds no file; drop an image");
    say(`${file.name} …`);
    let picture;
    try {
      picture = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    } catch {
      throw new Error(`${file.name} cannot be read as an image`);
    }
    found = await detect(picture);
    bitmap?.close();
    bitmap = picture;
    draw();
  } catch (error) {
    say(error.message, true);
  }
}

$("threshold").addEventListener("input", draw);
$("file").addEventListener("change", () => {
  take($("file").files[0]);
  $("file").value = ""; // the same file may be chosen again
});
for (const name of ["dragover", "dragleave", "drop"])
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files[0]);
  });
