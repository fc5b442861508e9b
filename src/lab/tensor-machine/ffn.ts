import { invalidArgument } from '../../core/errors.ts';
import type { Machine } from './machine.ts';
import type { BlockDefaults, FixedSizes } from './sizes.ts';
import {
  accumulate,
  blockAxes,
  copy,
  dram,
  inTurn,
  loadWeights,
  local,
  onChip,
  onProcessors,
  step,
  weights,
} from './steps.ts';

export const FFN_DEFAULTS: BlockDefaults = {
  expansion: 4,
  size: 32,
  tiles: { images: 1, rows: 4, hidden: 16, channels: Infinity },
  multiples: {},
};

/**
 * Feed-forward network, fused: FFN(X) = φ(XU + a)V + b = Σ_r φ(XU^r + a_r)V_r + b. A few hidden channels at a time are
 * produced, projected into the output at once, and forgotten, so that the hidden tensor never reaches memory. φ is ReLU.
 *
 * Input X [N, H, W, C]; weights U [C, R], a [R], V [R, K], b [K]; output Y [N, H, W, K].
 */
export function ffn(sizes: FixedSizes): Machine {
  if (sizes.stride !== 1) throw invalidArgument('A feed-forward network has no stride: leave it out.');
  const { tiles } = sizes;
  const pixels = ['N', 'H', 'W'];
  return {
    name: 'ffn',
    title: 'Feed-forward network, fused',
    axes: blockAxes(sizes),
    tensors: {
      X: dram('X', [...pixels, 'C'], 'input'),
      ...weights({ U: ['C', 'R'], a: ['R'], V: ['R', 'K'], b: ['K'] }),
      x: local('x', [...pixels, 'C']),
      z: local('z', [...pixels, 'R']),
      y: local('y', [...pixels, 'K']),
      Y: dram('Y', [...pixels, 'K'], 'output'),
    },
    kernels: [
      {
        name: 'FFN',
        steps: [
          ...loadWeights('U', 'a', 'V', 'b'),
          onProcessors('N', tiles.images, [
            onProcessors('H', tiles.rows, [
              copy('X', 'x'),
              step('zero', [], 'y'),
              inTurn('R', tiles.hidden, [
                step('product', ['x', onChip('U')], 'z'),
                step('add', ['z', onChip('a')], 'z'),
                step('relu', ['z'], 'z'),
                accumulate('product', ['z', onChip('V')], 'y'),
              ]),
              step('add', ['y', onChip('b')], 'y'),
              copy('y', 'Y'),
            ]),
          ]),
        ],
      },
    ],
  };
}
