import type { Kernel, Machine, Step, Tensor } from './machine.ts';
import { GROUP_WIDTH } from './sizes.ts';
import type { BlockDefaults, FixedSizes } from './sizes.ts';
import {
  BARRIER,
  accumulate,
  blockAxes,
  copy,
  dram,
  global,
  inTurn,
  kernelAxes,
  loadWeights,
  local,
  onChip,
  onProcessors,
  step,
  weights,
} from './steps.ts';

export const MBCONV_DEFAULTS: BlockDefaults = {
  expansion: 4,
  size: 16,
  tiles: { images: 1, rows: 8, hidden: 64, channels: Infinity },
  multiples: { channels: GROUP_WIDTH, hidden: GROUP_WIDTH },
};

/** Squeeze width over input channels. */
const SQUEEZE_RATIO = 0.25;

const ALL_WEIGHTS = ['U', 'a', 'F', 'f', 'A', 'p', 'B', 'q', 'V', 'b'];

function outline(sizes: FixedSizes) {
  const { stride, residual } = sizes;
  const halves = stride === 2;
  const map = ['N', 'H', 'W'];
  const outMap = halves ? ['N', 'P', 'Q'] : map;
  const outputs = residual ? 'C' : 'K';
  const tensors: Record<string, Tensor> = {
    X: dram('X', [...map, 'C'], 'input'),
    ...weights({
      U: ['C', 'R'],
      a: ['R'],
      F: ['R', 'T', 'kh', 'kw'],
      f: ['R'],
      A: ['R', 'S'],
      p: ['S'],
      B: ['S', 'R'],
      q: ['R'],
      V: ['R', outputs],
      b: [outputs],
    }),
    Y: dram('Y', [...outMap, outputs], 'output'),
  };
  const axes = {
    ...blockAxes(sizes),
    ...kernelAxes(GROUP_WIDTH),
    S: { size: Math.floor(sizes.channels * SQUEEZE_RATIO), meaning: 'squeezed channels' },
  };
  return { halves, map, outMap, outputs, tensors, axes, rows: halves ? 'P' : 'H' };
}

/**
 * MBConv block with squeeze-and-excitation, one kernel a layer: 1×1, SiLU → grouped 3×3 convolution, SiLU → gate →
 * 1×1, plus the input. With stride 2, blur and subsampling follow the convolution's SiLU, and there is no shortcut.
 *
 * Input X [N, H, W, C]; weights U [C, R], a [R]; F [R, 8, 3, 3], f [R]; squeeze A [R, S], p [S]; excite B [S, R],
 * q [R]; V [R, C], b [C]; output Y [N, H, W, C]. With stride 2: V [R, K], b [K], Y [N, P, Q, K].
 */
export function mbConvLayerWise(sizes: FixedSizes): Machine {
  const { halves, map, outMap, outputs, tensors, axes, rows } = outline(sizes);
  const { images, rows: tileRows } = sizes.tiles;
  const byImage = (body: readonly Step[]): Step => onProcessors('N', images, body);
  const tiled = (body: readonly Step[], along = rows): Step => byImage([onProcessors(along, tileRows, body)]);
  const layer = (name: string, [matrix, bias]: readonly [string, string], body: Step): Kernel => ({
    name,
    steps: [...loadWeights(matrix, bias), body],
  });
  const spatial = halves ? 'E' : 'D';
  return {
    name: 'mbconv-layer-wise',
    title: `MBConv block with squeeze-and-excitation${halves ? ', stride 2' : ''}, layer-wise`,
    axes,
    tensors: {
      ...tensors,
      z: local('z', [...map, 'R']),
      Z: dram('Z', [...map, 'R']),
      d: local('d', [...map, 'R']),
      D: dram('D', [...map, 'R']),
      ...(halves && { e: local('e', [...outMap, 'R']), E: dram('E', [...outMap, 'R']) }),
      m: local('m', ['N', 'R']),
      M: dram('M', ['N', 'R']),
      j: local('j', ['N', 'S']),
      J: dram('J', ['N', 'S']),
      g: local('g', ['N', 'R']),
      G: dram('G', ['N', 'R']),
      o: local('o', [...outMap, 'R']),
      O: dram('O', [...outMap, 'R']),
      y: local('y', [...outMap, outputs]),
    },
    kernels: [
      layer(
        'expansion',
        ['U', 'a'],
        tiled(
          [
            step('product', ['X', onChip('U')], 'z'),
            step('add', ['z', onChip('a')], 'z'),
            step('silu', ['z'], 'z'),
            copy('z', 'Z'),
          ],
          'H',
        ),
      ),
      layer(
        'grouped convolution',
        ['F', 'f'],
        tiled(
          [
            step('grouped-conv', ['Z', onChip('F')], 'd'),
            step('add', ['d', onChip('f')], 'd'),
            step('silu', ['d'], 'd'),
            copy('d', 'D'),
          ],
          'H',
        ),
      ),
      ...(halves
        ? [{ name: 'blur and subsampling', steps: [tiled([step('blur-pool', ['D'], 'e'), copy('e', 'E')])] }]
        : []),
      { name: 'global pooling', steps: [byImage([step('global-pool', [spatial], 'm'), copy('m', 'M')])] },
      layer(
        'squeeze',
        ['A', 'p'],
        byImage([
          step('product', ['M', onChip('A')], 'j'),
          step('add', ['j', onChip('p')], 'j'),
          step('relu', ['j'], 'j'),
          copy('j', 'J'),
        ]),
      ),
      layer(
        'excitation',
        ['B', 'q'],
        byImage([
          step('product', ['J', onChip('B')], 'g'),
          step('add', ['g', onChip('q')], 'g'),
          step('sigmoid', ['g'], 'g'),
          copy('g', 'G'),
        ]),
      ),
      { name: 'multiplication', steps: [byImage([step('multiply', [spatial, 'G'], 'o'), copy('o', 'O')])] },
      layer(
        'projection',
        ['V', 'b'],
        tiled([
          step('product', ['O', onChip('V')], 'y'),
          step('add', ['y', onChip('b')], 'y'),
          ...(sizes.residual ? [step('add', ['y', 'X'], 'y')] : []),
          copy('y', 'Y'),
        ]),
      ),
    ],
  };
}

/**
 * MBConv block with squeeze-and-excitation in one kernel. Each processor owns a group of hidden channels end to end;
 * squeezed channels and the output accumulate in global memory, for a micro-batch at a time. Tensors as layer-wise.
 */
export function mbConvFused(sizes: FixedSizes): Machine {
  const { halves, map, outMap, outputs, tensors, axes } = outline(sizes);
  const { images, hidden } = sizes.tiles;
  const spatial = halves ? 'e' : 'd';
  return {
    name: 'mbconv-fused',
    title: `MBConv block with squeeze-and-excitation${halves ? ', stride 2' : ''}, fused`,
    axes,
    tensors: {
      ...tensors,
      x: global('x', [...map, 'C']),
      y: global('y', [...outMap, outputs]),
      j: global('j', ['N', 'S']),
      z: local('z', [...map, 'R']),
      d: local('d', [...map, 'R']),
      ...(halves && { e: local('e', [...outMap, 'R']) }),
      m: local('m', ['N', 'R']),
      u: local('u', ['N', 'S']),
      g: local('g', ['N', 'R']),
    },
    kernels: [
      {
        name: 'MBConv block',
        steps: [
          ...loadWeights(...ALL_WEIGHTS),
          inTurn('N', images, [
            copy('X', 'x'),
            sizes.residual ? copy('x', 'y') : step('zero', [], 'y'),
            step('zero', [], 'j'),
            onProcessors('R', hidden, [
              step('product', ['x', onChip('U')], 'z'),
              step('add', ['z', onChip('a')], 'z'),
              step('silu', ['z'], 'z'),
              step('grouped-conv', ['z', onChip('F')], 'd'),
              step('add', ['d', onChip('f')], 'd'),
              step('silu', ['d'], 'd'),
              ...(halves ? [step('blur-pool', ['d'], 'e')] : []),
              step('global-pool', [spatial], 'm'),
              accumulate('product', ['m', onChip('A')], 'j'),
              BARRIER,
              step('add', ['j', onChip('p')], 'u'),
              step('relu', ['u'], 'u'),
              step('product', ['u', onChip('B')], 'g'),
              step('add', ['g', onChip('q')], 'g'),
              step('sigmoid', ['g'], 'g'),
              step('multiply', [spatial, 'g'], spatial),
              accumulate('product', [spatial, onChip('V')], 'y'),
            ]),
            step('add', ['y', onChip('b')], 'y'),
            copy('y', 'Y'),
          ]),
        ],
      },
    ],
  };
}
