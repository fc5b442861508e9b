import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { activate, erf, erfc } from '../../src/graph/activations.ts';
import { reference } from '../../src/graph/reference.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { BatchNormProblem, ConvProblem, DepthwiseProblem, Problem } from '../../src/kernels/problem.ts';
import golden from '../fixtures/unit.json' with { type: 'json' };

// The goldens are PyTorch 1.13's float64 results with 10 significant digits; their inputs are `Random(key)`.
const GOLDEN_DIGITS = 9;

function expectClose(actual: ArrayLike<number>, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(1, ...expected.map(Math.abs));
  for (let i = 0; i < expected.length; i++) {
    expect((actual[i] ?? NaN) / scale).toBeCloseTo((expected[i] ?? NaN) / scale, GOLDEN_DIGITS);
  }
}

/** [N, C, H·W] → [N, H·W, pitch]. */
function toNhwc(values: Float32Array, channels: number, pixels: number, pitch: number): Float32Array {
  const out = new Float32Array((values.length / channels) * pitch);
  values.forEach((value, i) => {
    const n = Math.floor(i / (channels * pixels));
    const c = Math.floor(i / pixels) % channels;
    out[(n * pixels + (i % pixels)) * pitch + c] = value;
  });
  return out;
}

/** [H·W, pitch] → [C, H·W]. */
function toNchw(values: Float64Array, channels: number, pitch: number): number[] {
  const pixels = values.length / pitch;
  return Array.from(
    { length: channels * pixels },
    (_, i) => values[(i % pixels) * pitch + Math.floor(i / pixels)] ?? NaN,
  );
}

function byRole(key: string, channels: number) {
  const of = (name: string, f: (t: number) => number): Float32Array =>
    new Random(`${key}.${name}`).array(channels).map(f);
  return {
    weight: of('weight', (t) => 1 + 0.25 * t),
    bias: of('bias', (t) => 0.1 * t),
    running_mean: of('running_mean', (t) => 0.1 * t),
    running_var: of('running_var', (t) => 1 + 0.5 * t),
  };
}

const PITCH = 4;
const x = toNhwc(new Random('unit.x').array(3 * 20 * 17), 3, 20 * 17, PITCH);

function depthwiseProblem(
  kernelHeight: number,
  kernelWidth: number,
  stride: number,
  [vertical = 0, horizontal = 0]: readonly number[],
): DepthwiseProblem {
  return {
    op: 'depthwise',
    batch: 1,
    height: 20,
    width: 17,
    channels: 3,
    pitch: PITCH,
    kernelHeight,
    kernelWidth,
    stride,
    dilation: 1,
    padding: { top: vertical, bottom: vertical, left: horizontal, right: horizontal },
    epilogue: NO_EPILOGUE,
  };
}

describe('reference against PyTorch', () => {
  it.each(golden.depthwise)('depthwise $kernel stride $stride', ({ kernel, stride, padding, every7th }) => {
    const [kh = 0, kw = 0] = kernel;
    const weight = new Random('unit.w').array(3 * kh * kw);
    const y = reference(depthwiseProblem(kh, kw, stride, padding), { x }, { weight });
    expectClose(
      toNchw(y, 3, PITCH).filter((_, i) => i % 7 === 0),
      every7th,
    );
  });

  it('batch norm after depthwise and pointwise', () => {
    const bn: BatchNormProblem = {
      op: 'batch-norm',
      rows: 20 * 17,
      channels: 3,
      pitch: PITCH,
      epsilon: golden.batchNorm.eps,
      activation: 'none',
    };
    const check = (values: number[], expected: { first32: number[]; sum: number }): void => {
      expectClose(values.slice(0, 32), expected.first32);
      expect(values.reduce((a, b) => a + b, 0)).toBeCloseTo(expected.sum, 6);
    };
    const weight = new Random('unit.w').array(27);
    const depthwise = reference(depthwiseProblem(3, 3, 1, [1, 1]), { x }, { weight });
    const normed = reference(bn, { x: depthwise }, byRole('unit.bn', 3));
    check(toNchw(normed, 3, PITCH), golden.batchNorm.depthwise);

    const pointwise = reference(
      {
        op: 'pointwise',
        rows: 20 * 17,
        inputs: 3,
        outputs: 4,
        inputPitch: PITCH,
        outputPitch: 8,
        epilogue: NO_EPILOGUE,
      },
      { x },
      { weight: new Random('unit.pw').array(12) },
    );
    const normed4 = reference({ ...bn, channels: 4, pitch: 8 }, { x: pointwise }, byRole('unit.bn4', 4));
    check(toNchw(normed4, 4, 8), golden.batchNorm.pointwise);
  });

  it('layer norm over channels', () => {
    const y = reference(
      { op: 'layer-norm', rows: 6, channels: 5, pitch: 8, epsilon: golden.layerNorm.eps, affine: true },
      { x: toNhwc(new Random('unit.ln.x').array(30), 5, 6, 8) },
      byRole('unit.ln', 5),
    );
    expectClose(toNchw(y, 5, 8), golden.layerNorm.y);
  });

  it('activations', () => {
    const { x: at, silu, sigmoid, relu6 } = golden.activations;
    expectClose(
      golden.gelu.x.map((v) => activate('gelu', v)),
      golden.gelu.exact,
    );
    expectClose(
      at.map((v) => activate('silu', v)),
      silu,
    );
    expectClose(
      at.map((v) => activate('sigmoid', v)),
      sigmoid,
    );
    expectClose(
      at.map((v) => activate('relu6', v)),
      relu6,
    );
  });
});

describe('erf', () => {
  it('has its known values to double precision', () => {
    // Abramowitz & Stegun table 7.1, and erfc(5) from the same source's asymptotic table.
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(erf(1)).toBeCloseTo(0.8427007929497149, 15);
    expect(erf(2)).toBeCloseTo(0.9953222650189527, 15);
    expect(erf(-3)).toBeCloseTo(-0.9999779095030014, 15);
    expect(erfc(5) / 1.5374597944280349e-12).toBeCloseTo(1, 12);
  });

  it('is continuous where the series ends', () => {
    const step = 2 ** -30;
    const slope = (2 / Math.sqrt(Math.PI)) * Math.exp(-6.25);
    expect((erfc(2.5 - step) - erfc(2.5)) / (slope * step)).toBeCloseTo(1, 3);
  });

  it('keeps NaN and saturates', () => {
    expect(erf(NaN)).toBeNaN();
    expect([erf(Infinity), erf(-Infinity), erfc(40), erfc(-40)]).toEqual([1, -1, 0, 2]);
  });
});

describe('reference against itself', () => {
  const conv: ConvProblem = {
    ...depthwiseProblem(3, 5, 2, [2, 3]),
    op: 'conv',
    dilation: 2,
    inputs: 3,
    outputs: 3,
    groups: 3,
    inputPitch: PITCH,
    outputPitch: PITCH,
  };

  it('a conv with one channel a group is a depthwise conv', () => {
    const weights = { weight: new Random('weight').array(45) };
    const depthwise = { ...depthwiseProblem(3, 5, 2, [2, 3]), dilation: 2 };
    expect(reference(conv, { x }, weights)).toEqual(reference(depthwise, { x }, weights));
  });

  it('a dense conv is the sum of its taps: with 1×1 taps it is a pointwise product', () => {
    const problem: ConvProblem = {
      ...conv,
      outputs: 2,
      groups: 1,
      kernelHeight: 1,
      kernelWidth: 1,
      dilation: 1,
      stride: 1,
      padding: { top: 0, bottom: 0, left: 0, right: 0 },
    };
    const weights = { weight: new Random('weight').array(6) };
    const pointwise: Problem = {
      op: 'pointwise',
      rows: 340,
      inputs: 3,
      outputs: 2,
      inputPitch: PITCH,
      outputPitch: PITCH,
      epilogue: NO_EPILOGUE,
    };
    expect(reference(problem, { x }, weights)).toEqual(reference(pointwise, { x }, weights));
  });

  it('applies the epilogue in its order', () => {
    const y = reference(
      {
        op: 'pointwise',
        rows: 1,
        inputs: 1,
        outputs: 1,
        inputPitch: 4,
        outputPitch: 4,
        epilogue: { bias: true, activation: 'relu', scale: true, residual: true, finalActivation: 'relu6' },
      },
      { x: Float32Array.of(2, 0, 0, 0), residual: Float32Array.of(0.25, 9, 9, 9) },
      { weight: Float32Array.of(3), bias: Float32Array.of(-4), scale: Float32Array.of(0.5) },
    );
    expect([...y]).toEqual([1.25, 0, 0, 0]);
  });

  it('refuses missing and wrong tensors', () => {
    expect(() => reference(depthwiseProblem(3, 3, 1, [1, 1]), {}, {})).toThrow('The tensor x is missing.');
    expect(() => reference(depthwiseProblem(3, 3, 1, [1, 1]), { x: x.subarray(4) }, {})).toThrow(
      'The tensor x must have 1360 floats, got 1356.',
    );
  });
});
