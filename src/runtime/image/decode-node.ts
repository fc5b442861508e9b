import type { FileHandle } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import type { Metadata, Sharp, SharpOptions } from 'sharp';

import { WidefieldError, invalidArgument, throwIfAborted } from '../../core/errors.ts';
import { explain } from '../../core/explain.ts';
import { openRegularFile } from '../../core/regular-file.ts';
import { checkBytes, fetchImage } from './encoded.ts';
import type { DecodeLimits, EncodedImage } from './encoded.ts';
import { HEAD_BYTES, IMAGE_FORMATS, imageFormat } from './format.ts';
import { checkSize, cmykToRgb } from './rgb.ts';
import type { RgbImage } from './rgb.ts';

type MakeSharp = (input: Uint8Array, options: SharpOptions) => Sharp;

/** Decodes under Node, with sharp. What is promised is said at `decodeImage`. */
export async function decodeEncoded(encoded: EncodedImage, limits: DecodeLimits): Promise<RgbImage> {
  const { name } = encoded;
  const bytes = await readBytes(encoded, limits.signal);
  checkHead(name, bytes);
  const sharp = await loadSharp();
  throwIfAborted(limits.signal);
  try {
    return await decode(sharp, name, bytes, limits, 'warning');
  } catch (error) {
    if (!isHarmless(error)) throw error;
    return await decode(sharp, name, bytes, limits, 'error');
  }
}

/** Damage shows as libjpeg warnings, so these fail. This one alone is what the cameras of some phones write. */
function isHarmless(error: unknown): boolean {
  const cause = error instanceof WidefieldError ? error.cause : undefined;
  return cause instanceof Error && /^VipsJpeg: Invalid SOS parameters[^\n]*$/.test(cause.message);
}

async function decode(
  sharp: MakeSharp,
  name: string,
  bytes: Uint8Array,
  limits: DecodeLimits,
  failOn: 'warning' | 'error',
): Promise<RgbImage> {
  // The header alone, so that a small file of gigantic dimensions costs nothing.
  const header = await attempt(name, () => sharp(bytes, { limitInputPixels: false, failOn }).metadata());
  checkSize(name, header.width, header.height, limits.maxPixels);
  throwIfAborted(limits.signal);
  const { data, info } = await attempt(name, () =>
    rgbPipeline(
      sharp(bytes, {
        limitInputPixels: limits.maxPixels <= Number.MAX_SAFE_INTEGER && Math.ceil(limits.maxPixels),
        failOn,
        ignoreIcc: true,
        autoOrient: true,
      }),
      header,
    ).toBuffer({ resolveWithObject: true }),
  );
  const { width, height, channels } = info;
  const values = isDeepCmyk(header) ? highBytes(data) : data;
  if (values.length !== width * height * channels || channels !== (header.space === 'cmyk' ? 4 : 3)) {
    throw invalidArgument(
      `${name} has ${channels} channels that mean nothing to Widefield: convert it to RGB.`,
    );
  }
  const pixels = new Uint8Array(values.buffer, values.byteOffset, values.length);
  return { width, height, data: channels === 4 ? cmykToRgb(pixels) : pixels };
}

/** Pixels of 8-bit RGB, or of CMYK as it is stored, which libvips would convert by a profile of its own choice. */
function rgbPipeline(image: Sharp, header: Metadata): Sharp {
  if (header.space !== 'cmyk') return image.removeAlpha().toColourspace('srgb').raw({ depth: 'uchar' });
  const pixels = image.pipelineColourspace('cmyk').toColourspace('cmyk');
  return pixels.raw({ depth: isDeepCmyk(header) ? 'ushort' : 'uchar' });
}

/** CMYK of 16 bits, which libvips would clip to 8 bits, not scale. */
function isDeepCmyk({ space, depth }: Metadata): boolean {
  return space === 'cmyk' && depth === 'ushort';
}

/** The high bytes of 16-bit values. */
function highBytes(values: Uint8Array): Uint8Array {
  const { length } = values;
  const view = new DataView(values.buffer, values.byteOffset, length);
  return Uint8Array.from({ length: length / 2 }, (_, i) => view.getUint16(2 * i, true) >> 8);
}

/** Runs sharp and turns its complaint into one sentence. */
async function attempt<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error))
      .replace(/^Input buffer (has corrupt header|contains)[: ]*/, '')
      .split('\n')[0]
      ?.replace(/^\w+: /, '')
      .replace(/[\s.]+$/, '');
    throw new WidefieldError(
      'invalid-argument',
      `${name} cannot be decoded (${reason || 'no reason given'}): it is damaged or unusual, so save it anew or get an intact copy.`,
      { cause: error },
    );
  }
}

async function readBytes(encoded: EncodedImage, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const { name, source } = encoded;
  if (source instanceof Uint8Array) return source;
  if (source instanceof URL && source.protocol !== 'file:') {
    return Buffer.concat(
      await fetchImage(name, source, signal, (pieces, bytes) => hasImageHead(name, pieces, bytes)),
    );
  }
  let file: FileHandle | undefined;
  try {
    if (source instanceof Blob) {
      checkHead(name, await bytesOf(source.slice(0, HEAD_BYTES)));
      checkBytes(name, source.size);
      return await bytesOf(source);
    }
    const opened = await openRegularFile(source instanceof URL ? fileURLToPath(source) : source);
    file = opened.file;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    checkHead(name, buffer.subarray(0, bytesRead));
    checkBytes(name, opened.size);
    return await file.readFile(signal ? { signal } : {});
  } catch (error) {
    throwIfAborted(signal);
    throw error instanceof WidefieldError ? error : cannotRead(name, error);
  } finally {
    await file?.close();
  }
}

async function bytesOf(blob: Blob): Promise<Uint8Array> {
  return new Uint8Array(await blob.arrayBuffer());
}

function cannotRead(name: string, error: unknown): WidefieldError {
  return new WidefieldError('io', `${name} cannot be read (${explain(error)}): check the path.`, {
    cause: error,
  });
}

function checkHead(name: string, bytes: Uint8Array): void {
  if (bytes.length === 0) throw invalidArgument(`${name} is empty: get an intact copy.`);
  if (imageFormat(bytes) === undefined) {
    throw invalidArgument(
      `${name} is not an image that Widefield reads: convert it to one of ${IMAGE_FORMATS.join(', ')}.`,
    );
  }
}

/** Whether the head of a download is there, in which case it is that of an image. */
function hasImageHead(name: string, pieces: readonly Uint8Array[], bytes: number): boolean {
  if (bytes < HEAD_BYTES) return false;
  checkHead(name, Buffer.concat(pieces, HEAD_BYTES));
  return true;
}

async function loadSharp(): Promise<MakeSharp> {
  try {
    return (await import('sharp')).default;
  } catch (error) {
    throw new WidefieldError(
      'unsupported',
      'Images are decoded by the package sharp, which does not load here: reinstall it, or pass decoded pixels.',
      { cause: error },
    );
  }
}
