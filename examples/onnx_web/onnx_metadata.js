"use strict";

// ONNX Runtime's JavaScript does not say what a file says of itself, so its outermost message is read here:
// https://protobuf.dev/programming-guides/encoding/

/** Yields [number, content] of each field of a message (Uint8Array); the content of numbers is null. */
function* fieldsOf(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || factor > 2 ** 63) throw new Error("the file is cut off, or not of ONNX");
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    if (tag % 8 === 0) varint();
    else if (tag % 8 === 1) at += 8;
    else if (tag % 8 === 5) at += 4;
    else if (tag % 8 === 2) {
      const length = varint();
      if (at + length > bytes.length) throw new Error("the file is cut off, or not of ONNX");
      yield [number, bytes.subarray(at, at + length)];
      at += length;
      continue;
    } else throw new Error("the file is cut off, or not of ONNX");
    yield [number, null];
  }
}

/** Returns what `rdet export` wrote into an ONNX file (Uint8Array): classes, pipeline, sizes and more. */
function metadataOf(bytes) {
  const text = new TextDecoder();
  for (const [number, content] of fieldsOf(bytes)) {
    if (number !== 14 || !content) continue; // ModelProto.metadata_props
    const entry = new Map(fieldsOf(content));
    if (text.decode(entry.get(1)) === "rdet.export") return JSON.parse(text.decode(entry.get(2)));
  }
  throw new Error("the file is not one that 'rdet export' wrote");
}
