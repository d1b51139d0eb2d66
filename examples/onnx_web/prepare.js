"use strict";

// An image is {width, height, data}: 4 bytes a pixel, as ImageData has it.

const pair = (value) => (Array.isArray(value) ? value : [value, value]);

/** Returns the size that `Resize` or `FitWithin` gives an image. */
function sizeAfter(step, width, height) {
  const [first, second] = pair(step.scale ?? step.size);
  if (step.type === "FitWithin") {
    if (width <= first && height <= second) return [width, height];
    const factor = Math.min(first / width, second / height);
    return [width, height].map((side) => Math.max(1, Math.round(side * factor)));
  }
  if (!step.keep_ratio) return [first, second];
  const factor = Math.min(
    Math.max(first, second) / Math.max(width, height), Math.min(first, second) / Math.min(width, height));
  return [width, height].map((side) => Math.max(1, Math.floor(side * factor + (step.round_down ? 0 : 0.5))));
}

/**
 * Resizes bilinearly, as OpenCV does, in its whole numbers: a canvas smooths when it shrinks, and the network was not
 * trained so.
 */
function resized(image, width, height) {
  if (width === image.width && height === image.height) return image;
  // For each row or column two neighbours, and their shares of 2048.
  const places = (size, before) =>
    Array.from({ length: size }, (_, index) => {
      const place = Math.min(Math.max(((index + 0.5) * before) / size - 0.5, 0), before - 1);
      const low = Math.floor(place);
      const share = Math.fround(place - low);
      return [low, Math.min(low + 1, before - 1), Math.round((1 - share) * 2048), Math.round(share * 2048)];
    });
  const columns = places(width, image.width);
  const data = new Uint8ClampedArray(4 * width * height);
  let at = 0;
  for (const [top, bottom, ofTop, ofBottom] of places(height, image.height)) {
    for (const [left, right, ofLeft, ofRight] of columns) {
      for (let channel = 0; channel < 4; channel++) {
        const across = (y) => {
          const row = 4 * y * image.width + channel;
          return (image.data[row + 4 * left] * ofLeft + image.data[row + 4 * right] * ofRight) >> 4;
        };
        data[at++] = (((ofTop * across(top)) >> 16) + ((ofBottom * across(bottom)) >> 16) + 2) >> 2;
      }
    }
  }
  return { width, height, data };
}

/** Fills an image up at the right and the bottom with `Pad`'s value; that counts as part of it. */
function padded(image, step) {
  const [wide, high] = pair(step.size);
  const width = Math.max(wide, image.width);
  const height = Math.max(high, image.height);
  const value = step.pad_val ?? 114;
  const [blue, green, red] = Array.isArray(value) ? value : [value, value, value];
  const data = new Uint8ClampedArray(4 * width * height);
  for (let at = 0; at < data.length; at += 4) data.set([red, green, blue, 255], at);
  for (let y = 0; y < image.height; y++)
    data.set(image.data.subarray(4 * y * image.width, 4 * (y + 1) * image.width), 4 * y * width);
  return { width, height, data };
}

/** Makes what the file takes of an image: {images, sizes, shape, scale}; scale: from the image, in x and y. */
function prepared(image, said) {
  const scale = [1, 1];
  for (const step of said.pipeline) {
    const type = step.type.split(".").pop();
    if (type === "Resize" || type === "FitWithin") {
      const [width, height] = sizeAfter({ ...step, type }, image.width, image.height);
      scale[0] *= width / image.width;
      scale[1] *= height / image.height;
      image = resized(image, width, height);
    } else if (type === "Pad") image = padded(image, step);
    else if (type !== "LoadImageFromFile" && type !== "PackDetInputs")
      throw new Error(`this page knows no ${type}, which the file's pipeline has; write it in prepare.js`);
  }
  const up = (side) => Math.ceil(side / said.divisor) * said.divisor;
  const [height, width] = said.size ?? [up(image.height), up(image.width)];
  const batch = said.batch ?? 1;
  const images = new (said.input === "uint8" ? Uint8Array : Float32Array)(batch * 3 * height * width);
  for (let y = 0; y < image.height; y++)
    for (let x = 0; x < image.width; x++)
      for (let channel = 0; channel < 3; channel++) // blue, green, red
        images[(channel * height + y) * width + x] = image.data[4 * (y * image.width + x) + 2 - channel];
  const sizes = new BigInt64Array(2 * batch).fill(1n);
  sizes.set([BigInt(image.height), BigInt(image.width)]);
  return { images, sizes, shape: [batch, 3, height, width], scale };
}
