import { crc32 } from 'node:zlib';

import type { RgbImage } from '../../src/runtime/image/image.ts';
import { Random } from '../../src/core/random.ts';

/** The source of the golden image numbers: a ramp across, a ramp down and a chequer of 5 pixels. */
export function goldenSource(): RgbImage {
  return draw(320, 240, (x, y) => [
    Math.floor((255 * x) / 319),
    Math.floor((255 * y) / 239),
    255 * ((Math.floor(x / 5) + Math.floor(y / 5)) % 2),
  ]);
}

export function draw(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly number[],
): RgbImage {
  const pixels = Array.from({ length: width * height }, (_, i) => colour(i % width, Math.floor(i / width)));
  return { width, height, data: Uint8Array.from(pixels.flat()) };
}

/** Random pixels, the same for the same key. */
export function noise(width: number, height: number, key: string): RgbImage {
  const random = new Random(key);
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => random.bits(i) & 255);
  return { width, height, data };
}

/** A TIFF of one uncompressed strip of CMYK, written by hand because sharp cannot make one exactly. */
export function cmykTiff(width: number, height: number, cmyk: Uint8Array | Uint16Array): Uint8Array {
  const SHORT = 3;
  const LONG = 4;
  const bitsAt = 8 + 2 + 12 * 9 + 4;
  const dataAt = bitsAt + 8;
  const entries: readonly (readonly [tag: number, type: number, count: number, value: number])[] = [
    [256, LONG, 1, width],
    [257, LONG, 1, height],
    [258, SHORT, 4, bitsAt],
    [259, SHORT, 1, 1], // no compression
    [262, SHORT, 1, 5], // separated, that is CMYK
    [273, LONG, 1, dataAt],
    [277, SHORT, 1, 4],
    [278, LONG, 1, height],
    [279, LONG, 1, cmyk.byteLength],
  ];
  const bytes = Buffer.alloc(dataAt + cmyk.byteLength);
  bytes.write('II*\0', 0, 'latin1');
  bytes.writeUInt32LE(8, 4);
  bytes.writeUInt16LE(entries.length, 8);
  entries.forEach(([tag, type, count, value], i) => {
    const at = 10 + 12 * i;
    bytes.writeUInt16LE(tag, at);
    bytes.writeUInt16LE(type, at + 2);
    bytes.writeUInt32LE(count, at + 4);
    bytes.writeUInt32LE(value, at + 8);
  });
  for (let i = 0; i < 4; i++) bytes.writeUInt16LE(8 * cmyk.BYTES_PER_ELEMENT, bitsAt + 2 * i);
  bytes.set(new Uint8Array(cmyk.buffer, cmyk.byteOffset, cmyk.byteLength), dataAt);
  return bytes;
}

/** The same PNG with other dimensions in its header, and a checksum that agrees. */
export function pngClaiming(png: Uint8Array, width: number, height: number): Uint8Array {
  const bytes = Buffer.from(png);
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  return bytes;
}

/** The same JPEG with other dimensions in its frame header (marker C0: length, precision, height, width). */
export function jpegClaiming(jpeg: Uint8Array, width: number, height: number): Uint8Array {
  const bytes = Buffer.from(jpeg);
  const frame = bytes.indexOf(Buffer.from([0xff, 0xc0]));
  bytes.writeUInt16BE(height, frame + 5);
  bytes.writeUInt16BE(width, frame + 7);
  return bytes;
}
