import { KernelBuilder } from '../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../codegen/ir.ts';
import { kernelName } from './family.ts';
import { activate, activationOperations, keepsZero } from './math.ts';
import type { Epilogue } from './problem.ts';

/** Where an epilogue's vectors [pitch] lie in `packed`; those that it does not need are absent. */
export interface EpilogueLayout {
  readonly biasOffset?: number;
  /** Factors [pitch], zero in the padding. */
  readonly scaleOffset?: number;
  /** Ones [C], then zeros: for a final activation that would not leave zeros in the padding. */
  readonly maskOffset?: number;
  /** Floats that the vectors take from the base offset on, alignment included. */
  readonly floats: number;
}

/** An epilogue's vectors for some neighbouring channels. */
export interface EpilogueVectors {
  readonly bias?: Value;
  readonly scale?: Value;
  readonly mask?: Value;
}

/**
 * The layout of an epilogue's vectors, from the first multiple of 16 floats at or after `baseOffset` on.
 *
 * Each vector is padded to a multiple of 16 floats, so that loads of up to 16 lanes stay inside. An
 * activation that makes something of nothing (sigmoid) gets a scale of ones, which zeroes the padding.
 */
export function epilogueLayout(epilogue: Epilogue, pitch: number, baseOffset: number): EpilogueLayout {
  const length = Math.ceil(pitch / 16) * 16;
  const start = Math.ceil(baseOffset / 16) * 16;
  let next = start;
  const take = (): number => {
    const offset = next;
    next += length;
    return offset;
  };
  const layout = {
    ...(epilogue.bias && { biasOffset: take() }),
    ...((epilogue.scale || !keepsZero(epilogue.activation)) && { scaleOffset: take() }),
    ...(!keepsZero(epilogue.finalActivation) && { maskOffset: take() }),
  };
  return { ...layout, floats: next === start ? 0 : next - baseOffset };
}

/** The same layout, `start` floats further. */
export function shiftEpilogue(layout: EpilogueLayout, start: number): EpilogueLayout {
  const { biasOffset, scaleOffset, maskOffset, floats } = layout;
  return {
    ...(biasOffset !== undefined && { biasOffset: biasOffset + start }),
    ...(scaleOffset !== undefined && { scaleOffset: scaleOffset + start }),
    ...(maskOffset !== undefined && { maskOffset: maskOffset + start }),
    floats,
  };
}

/**
 * The kernels that fill the layout in `packed` (zeroed before) from the weights `bias` [C] and `scale` [C];
 * none if there is nothing to fill. They run beside the kernels that pack the op's own weights.
 *
 * @param names what comes behind the names of the weights
 */
export function packEpilogue(
  epilogue: Epilogue,
  layout: EpilogueLayout,
  channels: number,
  names = '',
): Kernel[] {
  if (layout.floats === 0) return [];
  const { biasOffset, scaleOffset, maskOffset } = layout;
  const b = new KernelBuilder({
    name: kernelName(
      'pack_epilogue',
      channels,
      ...[biasOffset, scaleOffset, maskOffset].map((offset) => offset ?? 'none'),
      epilogue.scale ? 'scale' : 'ones',
      ...(names === '' ? [] : [names]),
    ),
    description: `copies bias and scale [${channels}] into packed`,
    lanes: 4,
    tasks: 1,
  });
  const bias = epilogue.bias ? b.input(`bias${names}`) : undefined;
  const scale = epilogue.scale ? b.input(`scale${names}`) : undefined;
  const packed = b.output('packed');
  b.for(0, channels, 1, (c) => {
    if (bias && biasOffset !== undefined) b.store(packed, c, b.loadScalar(bias, c), biasOffset);
    if (scaleOffset !== undefined) {
      b.store(packed, c, scale ? b.loadScalar(scale, c) : b.f32(1), scaleOffset);
    }
    if (maskOffset !== undefined) b.store(packed, c, b.f32(1), maskOffset);
  });
  return [b.build()];
}

/**
 * Loads the vectors for the channels from `channel` on: `lanes` of them, or one as f32. Callers hoist this
 * out of their pixel loops.
 */
export function loadEpilogue(
  b: KernelBuilder,
  layout: EpilogueLayout,
  packed: Buffer,
  channel: Value | number,
  type: 'vec' | 'f32' = 'vec',
): EpilogueVectors {
  const load = (offset: number): Value =>
    type === 'vec' ? b.loadVec(packed, channel, offset) : b.loadScalar(packed, channel, offset);
  const { biasOffset, scaleOffset, maskOffset } = layout;
  return {
    ...(biasOffset !== undefined && { bias: load(biasOffset) }),
    ...(scaleOffset !== undefined && { scale: load(scaleOffset) }),
    ...(maskOffset !== undefined && { mask: load(maskOffset) }),
  };
}

/**
 * `finalActivation(scale · activation(accumulator + bias) + residual)`. The result is zero in the padding if
 * accumulator and residual are.
 */
export function applyEpilogue(
  b: KernelBuilder,
  epilogue: Epilogue,
  vectors: EpilogueVectors,
  accumulator: Value,
  residual?: Value,
): Value {
  const { bias, scale, mask } = vectors;
  const active = activate(b, epilogue.activation, bias ? b.add(accumulator, bias) : accumulator);
  let sum = active;
  if (scale && residual) sum = b.fma(active, scale, residual);
  else if (scale) sum = b.mul(active, scale);
  else if (residual) sum = b.add(active, residual);
  const y = activate(b, epilogue.finalActivation, sum);
  return mask ? b.mul(y, mask) : y;
}

/** Vector operations of an epilogue on one vector, for estimates. */
export function epilogueOperations(epilogue: Epilogue): number {
  const simple = [epilogue.bias, epilogue.scale || epilogue.residual].filter(Boolean).length;
  return simple + activationOperations(epilogue.activation) + activationOperations(epilogue.finalActivation);
}
