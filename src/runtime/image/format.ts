/** The formats that Widefield reads under Node. */
export const IMAGE_FORMATS = ['JPEG', 'PNG', 'WebP', 'AVIF', 'GIF', 'TIFF'] as const;

export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** How many bytes of a file `imageFormat` looks at. */
export const HEAD_BYTES = 64;

const SIGNATURES: readonly (readonly [ImageFormat, string])[] = [
  ['JPEG', '\xff\xd8\xff'],
  ['PNG', '\x89PNG\r\n\x1a\n'],
  ['GIF', 'GIF87a'],
  ['GIF', 'GIF89a'],
  ['TIFF', 'II*\0'],
  ['TIFF', 'MM\0*'],
  ['TIFF', 'II+\0'], // BigTIFF
  ['TIFF', 'MM\0+'],
];

/**
 * The format of a file, by its first bytes. Asked before a file is read, so that a video does not fill the memory,
 * and before a decoder is asked, so that only these six decoders ever see a stranger's bytes.
 */
export function imageFormat(head: Uint8Array): ImageFormat | undefined {
  const text = String.fromCharCode(...head.subarray(0, HEAD_BYTES));
  const found = SIGNATURES.find(([, signature]) => text.startsWith(signature));
  if (found !== undefined) return found[0];
  if (text.startsWith('RIFF') && text.startsWith('WEBP', 8)) return 'WebP';
  return isAvif(head, text) ? 'AVIF' : undefined;
}

/** ISO media files begin with a box: size (32 bits, big-endian), `ftyp`, brand, version, compatible brands. */
function isAvif(head: Uint8Array, text: string): boolean {
  if (head.length < 12 || !text.startsWith('ftyp', 4)) return false;
  const size = new DataView(head.buffer, head.byteOffset).getUint32(0);
  for (let i = 8; i < Math.min(size, text.length); i += 4) {
    const brand = text.slice(i, i + 4);
    if (i !== 12 && (brand === 'avif' || brand === 'avis')) return true;
  }
  return false;
}
