import { expect, test } from 'vitest';

import { openWasmDevice } from '../../src/devices/wasm.ts';
import { candidates } from '../../src/kernels/index.ts';
import type { PoolProblem } from '../../src/kernels/problem.ts';
import { createOp } from '../../src/runtime/op.ts';
import { describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

type Options = Partial<Omit<PoolProblem, 'op' | 'padding'>> & { readonly pad?: number };

/** 3×3, stride 2, padding 1 as in ResNet's stem, unless the options say otherwise. */
function pool(name: string, { pad = 1, ...options }: Options): KernelCase {
  return {
    name,
    problem: (pitch) => ({
      op: 'pool',
      kind: 'max',
      batch: 1,
      height: 14,
      width: 14,
      kernelHeight: 3,
      kernelWidth: 3,
      stride: 2,
      dilation: 1,
      channels: 16,
      pitch: pitch(options.channels ?? 16),
      countPadding: false,
      padding: { top: pad, bottom: pad, left: pad, right: pad },
      ...options,
    }),
  };
}

describeKernels('pool', [
  pool('max, ResNet', { height: 56, width: 56, channels: 64 }),
  pool('max, negative', { channels: 20 }),
  pool('max, batch and rectangle', {
    batch: 2,
    height: 5,
    width: 9,
    kernelHeight: 2,
    kernelWidth: 4,
    channels: 24,
  }),
  pool('max, window larger than the map', {
    height: 2,
    width: 3,
    kernelHeight: 5,
    kernelWidth: 6,
    pad: 3,
    stride: 1,
  }),
  pool('max, windows wholly on padding', {
    height: 2,
    width: 2,
    kernelHeight: 2,
    kernelWidth: 2,
    pad: 3,
    stride: 1,
  }),
  pool('max, dilated', { dilation: 2, pad: 2, stride: 1 }),
  pool('max, dilated windows between the pixels', { height: 3, width: 3, dilation: 5, pad: 4, stride: 3 }),
  pool('average, padding counted', { kind: 'average', countPadding: true, channels: 21 }),
  pool('average, padding not counted', { kind: 'average', channels: 24 }),
  pool('average, windows wholly on padding', {
    kind: 'average',
    height: 2,
    width: 2,
    kernelHeight: 2,
    kernelWidth: 2,
    pad: 3,
  }),
  pool('average 2×2 without padding', {
    kind: 'average',
    kernelHeight: 2,
    kernelWidth: 2,
    pad: 0,
    channels: 96,
  }),
  pool('average 7×7', { kind: 'average', kernelHeight: 7, kernelWidth: 7, pad: 3, stride: 1, batch: 2 }),
  pool('one pixel', { height: 1, width: 1 }),
  pool('an image', { channels: 3, pitch: 3, kind: 'average', countPadding: true }),
]);

test('a NaN is the maximum of its window, as in PyTorch', async () => {
  await using device = await openWasmDevice({ threads: 1 });
  const problem = pool('', { height: 6, width: 6, channels: 4 }).problem((channels) => channels);
  for (const candidate of candidates(problem, device.caps)) {
    const op = await createOp(device, problem, {}, { candidate });
    op.input('x').fill(1);
    op.input('x')[4 * (2 * 6 + 3)] = NaN;
    await op.run();
    // Of the 3×3 windows with stride 2, those of rows 0 and 1 (to pixel row 3) and columns 1 and 2 meet pixel (2, 3).
    const found = [...op.output].flatMap((value, i) => (Number.isNaN(value) ? [i] : []));
    expect(found).toEqual([4 * (1 * 3 + 1), 4 * (1 * 3 + 2)]);
    await op.dispose();
  }
});
