import type { RandomStream } from '../core/random.ts';

/** Mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019), on whole batches as in timm. */
export interface MixOptions {
  /** α of the Beta distribution of Mixup's share; 0: no Mixup. Default 0. */
  readonly mixup?: number;
  /** The same for CutMix. Default 0. */
  readonly cutmix?: number;
  /** Share of batches that are mixed at all; default 1. */
  readonly probability?: number;
  /** Share of mixed batches that take CutMix, where both are on; default 0.5. */
  readonly switch?: number;
}

/** What is meant where an option is not given: nothing is mixed. */
export const MIX_DEFAULTS = {
  mixup: 0,
  cutmix: 0,
  probability: 1,
  switch: 0.5,
} as const satisfies MixOptions;

/** What happens to a batch: each image meets the one at the same place from the other end. */
export type Mix =
  | { readonly kind: 'none' }
  | { readonly kind: 'mixup'; /** Share of the image itself. */ readonly share: number }
  | {
      readonly kind: 'cutmix';
      /** Share of the image itself, from the box's true area. */
      readonly share: number;
      readonly box: Box;
    };

/** Pixels [top, bottom) × [left, right). */
export interface Box {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** Draws what happens to a batch of images of that size. */
export function drawMix(options: MixOptions, height: number, width: number, random: RandomStream): Mix {
  const { mixup, cutmix, probability, switch: share }: Required<MixOptions> = { ...MIX_DEFAULTS, ...options };
  if ((mixup <= 0 && cutmix <= 0) || !random.chance(probability)) return { kind: 'none' };
  const cuts = cutmix > 0 && (mixup <= 0 || random.chance(share));
  if (!cuts) return { kind: 'mixup', share: beta(random, mixup) };
  return cutBox(beta(random, cutmix), height, width, random.below(height), random.below(width));
}

/** The box of CutMix around a centre, clipped to the image; its share is what remains outside. */
export function cutBox(
  share: number,
  height: number,
  width: number,
  centreY: number,
  centreX: number,
): Mix & { kind: 'cutmix' } {
  const side = Math.sqrt(1 - share);
  const span = (size: number, centre: number): readonly [number, number] => {
    const half = Math.floor(Math.trunc(size * side) / 2);
    return [Math.max(centre - half, 0), Math.min(centre + half, size)];
  };
  const [top, bottom] = span(height, centreY);
  const [left, right] = span(width, centreX);
  const area = (bottom - top) * (right - left);
  return { kind: 'cutmix', share: 1 - area / (height * width), box: { top, bottom, left, right } };
}

/**
 * Mixes a batch in place.
 *
 * @param images [N, H, W, C], dense
 */
export function mixImages(
  mix: Mix,
  images: Float32Array,
  [batch, height, width, channels]: readonly [number, number, number, number],
): void {
  if (mix.kind === 'none') return;
  const floats = height * width * channels;
  for (let n = 0; n < batch / 2; n++) {
    const a = images.subarray(n * floats, (n + 1) * floats);
    const b = images.subarray((batch - 1 - n) * floats, (batch - n) * floats);
    if (mix.kind === 'mixup') blend(a, b, mix.share);
    else exchange(a, b, mix.box, width * channels, channels);
  }
}

function blend(a: Float32Array, b: Float32Array, share: number): void {
  for (let i = 0; i < a.length; i++) {
    const first = a[i] ?? 0;
    const second = b[i] ?? 0;
    a[i] = first * share + second * (1 - share);
    b[i] = second * share + first * (1 - share);
  }
}

function exchange(a: Float32Array, b: Float32Array, box: Box, pitch: number, channels: number): void {
  for (let row = box.top; row < box.bottom; row++) {
    const start = row * pitch + box.left * channels;
    const end = row * pitch + box.right * channels;
    const kept = a.slice(start, end);
    a.set(b.subarray(start, end), start);
    b.set(kept, start);
  }
}

/**
 * Target distributions [N, classes]: `smoothing` spread over all classes (Szegedy et al. 2016), the rest on the label, and
 * those of mixed images in the share of their pixels.
 */
export function targetsOf(labels: Int32Array, classes: number, smoothing: number, mix: Mix): Float32Array {
  const targets = new Float32Array(labels.length * classes).fill(smoothing / classes);
  const share = mix.kind === 'none' ? 1 : mix.share;
  const give = (row: number, label: number, part: number): void => {
    const at = row * classes + label;
    targets[at] = (targets[at] ?? 0) + part * (1 - smoothing);
  };
  labels.forEach((label, row) => {
    give(row, label, share);
    if (share < 1) give(row, labels[labels.length - 1 - row] ?? label, 1 - share);
  });
  return targets;
}

/** Beta(α, α), from two gamma variates. */
function beta(random: RandomStream, alpha: number): number {
  const a = gamma(random, alpha);
  const b = gamma(random, alpha);
  return a + b > 0 ? a / (a + b) : 0.5;
}

/** Gamma(shape, 1) by Marsaglia & Tsang (2000). */
function gamma(random: RandomStream, shape: number): number {
  if (shape < 1) return gamma(random, shape + 1) * (1 - random.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    const u = 1 - random.uniform();
    if (Math.log(u) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
