"use strict";
const $ = (id) => document.getElementById(id);
ort.env.wasm.numThreads = 1; // more need headers that http.server does not send
ort.env.wasm.wasmPaths = new URL("node_modules/onnxruntime-web/dist/", location.href).href;

let session = null;
let said = null;
let bitmap = null;
let found = [];

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

async function load() {
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
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.hidden = false;
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const unit = Math.max(bitmap.width, bitmap.height) / 400;
  context.lineWidth = unit;
  context.font = `${6 * unit}px sans-serif`;
  context.textBaseline = "top";
  const shown = found.filter((one) => one.score >= least);
  for (const { box, score, label } of [...shown].reverse()) {
    const [left, top, right, bottom] = box;
    const color = `hsl(${(label * 137.5) % 360} 90% 45%)`;
    context.strokeStyle = context.fillStyle = color;
    context.strokeRect(left, top, right - left, bottom - top);
    const text = `${said.classes[label]} ${score.toFixed(2)}`;
    context.fillRect(left, top, context.measureText(text).width + 2 * unit, 7 * unit);
    context.fillStyle = "white";
    context.fillText(text, left + unit, top + unit / 2);
  }
  say(`${shown.length} of ${found.length} objects`);
}

const loaded = load();
loaded.catch((error) => say(error.message, true));

async function take(file) {
  if (!file) return;
  try {
    await loaded;
    say(`${file.name} …`);
    let picture;
    try {
      picture = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    } catch {
      throw new Error(`${file.name} cannot be read as an image`);
    }
    found = await detect(picture);
    bitmap = picture;
    draw();
  } catch (error) {
    say(error.message, true);
  }
}

$("threshold").addEventListener("input", draw);
$("file").addEventListener("change", () => take($("file").files[0]));
for (const name of ["dragover", "dragleave", "drop"])
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files[0]);
  });
