import type { PixelImage } from '../dataset.ts';

/** The image with each value replaced by `table[channel][value]`; a single table serves all channels. */
export function mapValues(image: PixelImage, ...tables: readonly Uint8Array[]): PixelImage {
  const { channels, data } = image;
  const out = new Uint8Array(data.length);
  for (let c = 0; c < channels; c++) {
    const table = tables[c % tables.length] ?? new Uint8Array(256);
    for (let i = c; i < data.length; i += channels) out[i] = table[data[i] as number] as number;
  }
  return { ...image, data: out };
}

/** A table from a function of the value; values beyond 0 … 255 are clipped, fractions cut off. */
export function tableOf(valueOf: (value: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, i) => Math.max(0, Math.min(255, Math.trunc(valueOf(i)))));
}

/** 255 − value. */
export function invert(image: PixelImage): PixelImage {
  return mapValues(
    image,
    tableOf((value) => 255 - value),
  );
}

/** Inverts values from the threshold on. */
export function solarize(image: PixelImage, threshold: number): PixelImage {
  return mapValues(
    image,
    tableOf((value) => (value < threshold ? value : 255 - value)),
  );
}

/** Adds to values below 128. */
export function solarizeAdd(image: PixelImage, added: number): PixelImage {
  return mapValues(
    image,
    tableOf((value) => (value < 128 ? value + added : value)),
  );
}

/** Keeps the most significant bits alone. */
export function posterize(image: PixelImage, bits: number): PixelImage {
  if (bits >= 8) return image;
  const mask = 0xff & ~((1 << (8 - bits)) - 1);
  return mapValues(
    image,
    tableOf((value) => value & mask),
  );
}

/** Stretches each channel to the whole range 0 … 255. */
export function autoContrast(image: PixelImage): PixelImage {
  return mapValues(
    image,
    ...histograms(image).map((counts) => {
      const low = counts.findIndex((count) => count > 0);
      const high = counts.findLastIndex((count) => count > 0);
      if (high <= low) return tableOf((value) => value);
      const scale = 255 / (high - low);
      const offset = -low * scale;
      return tableOf((value) => value * scale + offset);
    }),
  );
}

/** Makes each channel's values as evenly distributed as a table can: value → how many pixels lie below, in steps. */
export function equalize(image: PixelImage): PixelImage {
  return mapValues(
    image,
    ...histograms(image).map((counts) => {
      const last = counts.findLast((count) => count > 0) ?? 0;
      const pixels = image.width * image.height;
      // The brightest value becomes 255, so its pixels need no steps.
      const step = Math.floor((pixels - last) / 255);
      if (step === 0) return tableOf((value) => value);
      let sum = Math.floor(step / 2);
      const table = new Uint8Array(256);
      for (let value = 0; value < 256; value++) {
        table[value] = Math.min(255, Math.floor(sum / step));
        sum += counts[value] ?? 0;
      }
      return table;
    }),
  );
}

/** How often each value occurs, channel by channel. */
function histograms({ channels, data }: PixelImage): number[][] {
  return Array.from({ length: channels }, (_, c) => {
    const counts = new Uint32Array(256);
    for (let i = c; i < data.length; i += channels) {
      const value = data[i] as number;
      counts[value] = (counts[value] as number) + 1;
    }
    return [...counts];
  });
}
