import { describe, expect, it } from 'vitest';

import { blockGraph } from '../../../src/lab/block-case.ts';
import { blockCost, kernelCosts, totalCost } from '../../../src/lab/costs.ts';
import { countMachine, minimumSeconds } from '../../../src/lab/tensor-machine/count.ts';
import { describeMachine } from '../../../src/lab/tensor-machine/machines.ts';
import type { BlockSizes } from '../../../src/lab/tensor-machine/sizes.ts';

/** NVIDIA A5000 with locked clocks: 64 multiprocessors × 1024 operations × 1.17 GHz, in float16. */
const A5000 = { operations: 64 * 1024 * 1.17e9, bytes: 480e9 };

function microseconds(name: string, sizes: BlockSizes): number {
  return minimumSeconds(countMachine(describeMachine(name, sizes), 2), A5000) * 1e6;
}

describe('countMachine', () => {
  // Lavin 2024, Fig. 8: channels, expansion, map, layer-wise and fused µs at batch 128.
  it.each([
    [16, 3, 128, 1538, 280],
    [32, 3, 128, 3076, 559],
    [48, 6, 64, 1783, 425],
    [64, 6, 32, 594, 184],
  ])(
    'ConvFirst %ic α%i %ihw takes at least the published time',
    (channels, expansion, size, layerWise, fused) => {
      const sizes = { channels, expansion, size };
      expect(relative(microseconds('convfirst-layer-wise', sizes), layerWise)).toBeLessThan(0.005);
      expect(relative(microseconds('convfirst-fused', sizes), fused)).toBeLessThan(0.005);
      expect(microseconds('convfirst-split', sizes)).toBe(microseconds('convfirst-fused', sizes));
    },
  );

  // Fig. 12. The 45 µs of 144 channels stand beside 75 µs of 192, whose operations are 1.689 times as many: 44.4 µs by
  // the formula that gives 75.08.
  it.each([
    [128, 16, 544, 144, 0.005],
    [256, 16, 1150, 512, 0.005],
    [144, 8, 155, 45, 0.0125],
    [192, 8, 207, 75, 0.005],
  ])(
    'MBConv %ic α4 %ihw takes at least the published time',
    (channels, size, layerWise, fused, tolerance) => {
      const sizes = { channels, expansion: 4, size };
      expect(relative(microseconds('mbconv-layer-wise', sizes), layerWise)).toBeLessThan(0.005);
      expect(relative(microseconds('mbconv-fused', sizes), fused)).toBeLessThan(tolerance);
    },
  );

  // The waterline counts graphs, the machines their own loads and stores: they must agree.
  it.each(
    (['convfirst', 'mbconv'] as const).flatMap((kind) =>
      ([1, 2] as const).flatMap((stride) =>
        [16, 40].map((outputs) => ({
          kind,
          channels: 16,
          expansion: 3,
          size: 32,
          batch: 4,
          stride,
          outputs,
        })),
      ),
    ),
  )('counts what the waterline counts: $kind, stride $stride, $outputs outputs', (block) => {
    const { kind, ...sizes } = block;
    const graph = blockGraph(block);
    const layers = totalCost(kernelCosts(graph));
    const count = (form: string) => countMachine(describeMachine(`${kind}-${form}`, sizes), 2);
    expect(count('layer-wise')).toMatchObject({ bytes: layers.bytes, operations: layers.ops });
    const { ops, bytes } = blockCost(graph);
    expect(count('fused')).toMatchObject({ bytes, operations: ops });
  });

  it('counts a fused FFN by hand: input and output once, weights once', () => {
    const count = countMachine(describeMachine('ffn', { channels: 32, expansion: 4, size: 8, batch: 2 }), 4);
    const pixels = 2 * 8 * 8;
    expect(count.operations).toBe(2 * pixels * (32 * 128 + 128 * 32));
    expect(count.reads).toBe(pixels * 32 + 32 * 128 + 128 + 128 * 32 + 32);
    expect(count.writes).toBe(pixels * 32);
    expect(count.bytes).toBe(4 * (count.reads + count.writes));
    expect(count.intensity).toBe(count.operations / count.bytes);
    expect(count.withHalo.bytes).toBe(count.bytes);
  });

  it('counts a residual as one more read of the kernel that adds it', () => {
    const sizes = { channels: 16, expansion: 2, size: 8, batch: 1 };
    const projection = (more: object) =>
      countMachine(describeMachine('convfirst-layer-wise', { ...sizes, ...more }), 2).kernels.at(-1);
    const plain = projection({ outputs: 8 });
    expect(projection({})?.reads).toBe(64 * (32 + 16) + 32 * 16 + 16);
    expect(plain?.reads).toBe(64 * 32 + 32 * 8 + 8);
  });

  it('counts rows between tiles twice only with halos', () => {
    const sizes = { channels: 8, expansion: 1, size: 12, batch: 1 };
    const at = (rows: number) =>
      countMachine(describeMachine('convfirst-fused', { ...sizes, tiles: { rows } }), 2);
    expect(at(3).bytes).toBe(at(12).bytes);
    expect(at(12).withHalo.bytes).toBe(at(12).bytes);
    // Three borders between four tiles, two rows each.
    expect(at(3).withHalo.reads - at(3).reads).toBe(3 * 2 * 12 * 8);
  });

  it('says what tensors take on the chip', () => {
    const tiles = { images: 1, rows: 4, hidden: 16 };
    const { footprint } = countMachine(
      describeMachine('convfirst-fused', { channels: 8, expansion: 4, size: 16, tiles }),
      2,
    );
    expect(footprint.global).toBe(8 * 72 + 8 + 8 * 32 + 32 + 32 * 8 + 8);
    // The tile with its halo, the convolution, the accumulators, and 16 hidden channels.
    expect(footprint.local).toBe(16 * (6 * 8 + 4 * 8 + 4 * 8 + 4 * 16));
  });

  it.each([
    ['mbconv-fuse', {}, /There is no tensor machine "mbconv-fuse": did you mean mbconv-fused/],
    ['convfirst-fused', { channels: 12 }, /multiple of its group width, 8, got 12/],
    ['ffn', { channels: 0 }, /channels of ffn must be a whole number/],
    ['ffn', { channels: 8, stride: 2 }, /no stride/],
    ['convfirst-split', { channels: 8, stride: 2 }, /needs stride 1/],
    [
      'mbconv-fused',
      { channels: 8, tiles: { hidden: 12 } },
      /tile of hidden .* multiple of 8 and at most 32, got 12/,
    ],
    ['ffn', { channels: 8, size: 4, tiles: { rows: 5 } }, /tile of rows .* at most 4, got 5/],
  ] as const)('refuses %s %o', (name, sizes, message) => {
    expect(() => describeMachine(name, { channels: 8, ...sizes })).toThrow(message);
  });
});

function relative(value: number, published: number): number {
  return Math.abs(value / published - 1);
}
