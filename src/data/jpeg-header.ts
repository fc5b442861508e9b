/** What the header of a JPEG tells. */
export interface JpegHeader {
  readonly width: number;
  readonly height: number;
  /** 1: grey; 3: colours; 4: CMYK. */
  readonly components: number;
  /** Whether there is EXIF data, so that the image may have to be turned. */
  readonly hasExif: boolean;
}

/**
 * The frame header of a JPEG, which its bytes lead to marker by marker; undefined if they do not. Decoders tell the
 * same, but take some 0.2 ms.
 */
export function readJpegHeader(bytes: Uint8Array): JpegHeader | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let hasExif = false;
  for (let at = 2; at + 4 <= bytes.length;) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1] ?? 0;
    if (marker === 0xff) {
      at++; // padding
      continue;
    }
    const length = view.getUint16(at + 2);
    if (length < 2) return undefined;
    if (isFrame(marker)) {
      if (at + 10 > bytes.length || bytes[at + 4] !== 8) return undefined;
      const [height, width, components = 0] = [view.getUint16(at + 5), view.getUint16(at + 7), bytes[at + 9]];
      return width > 0 && height > 0 ? { width, height, components, hasExif } : undefined;
    }
    hasExif ||= marker === 0xe1 && bytes[at + 4] === 0x45 && bytes[at + 5] === 0x78; // APP1, "Ex…"
    if (marker === 0xda) return undefined; // image data without a frame
    at += 2 + length;
  }
  return undefined;
}

/** SOF0 … SOF15, but for what has other meanings: tables, extensions, conditions. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}
