import { invalidArgument } from '../../core/errors.ts';
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

export const CONVFIRST_DEFAULTS: BlockDefaults = {
  expansion: 6,
  size: 64,
  tiles: { images: 1, rows: 8, hidden: 16, channels: 16 },
  multiples: { channels: GROUP_WIDTH },
};

/** What all forms have in common: names of axes and tensors outside of kernels. */
function outline(sizes: FixedSizes) {
  const { stride, residual } = sizes;
  const halves = stride === 2;
  const map = ['N', 'H', 'W'];
  const outMap = halves ? ['N', 'P', 'Q'] : map;
  const outputs = residual ? 'C' : 'K';
  const between = halves ? 'D' : 'C';
  const tensors: Record<string, Tensor> = {
    X: dram('X', [...map, 'C'], 'input'),
    ...weights({
      F: ['C', 'T', 'kh', 'kw'],
      f: ['C'],
      U: [between, 'R'],
      a: ['R'],
      V: ['R', outputs],
      b: [outputs],
    }),
    Y: dram('Y', [...outMap, outputs], 'output'),
  };
  const axes = {
    ...blockAxes(sizes),
    ...kernelAxes(GROUP_WIDTH),
    ...(halves && { D: { size: 2 * sizes.channels, meaning: 'channels of both' } }),
  };
  return { halves, map, outMap, outputs, between, tensors, axes, rows: halves ? 'P' : 'H' };
}

/**
 * ConvFirst block, one kernel a layer: grouped 3×3 convolution → 1×1, ReLU → 1×1, plus the input. With stride 2 the
 * input is put beside the convolution's result, both are blurred and subsampled, and there is no shortcut. The convolution
 * stores its half S where the concatenation wants it, so that only the other half, L, is copied.
 *
 * Input X [N, H, W, C]; weights F [C, 8, 3, 3], f [C], U [C, R], a [R], V [R, C], b [C]; output Y [N, H, W, C].
 * With stride 2: U [2C, R], V [R, K], b [K], Y [N, P, Q, K].
 */
export function convFirstLayerWise(sizes: FixedSizes): Machine {
  const { halves, map, outMap, outputs, tensors, axes, rows } = outline(sizes);
  const { images, rows: tileRows } = sizes.tiles;
  const tiled = (body: readonly Step[], along = rows): Step =>
    onProcessors('N', images, [onProcessors(along, tileRows, body)]);
  const kernels: Kernel[] = [
    {
      name: 'grouped convolution',
      steps: [
        ...loadWeights('F', 'f'),
        tiled(
          [
            step('grouped-conv', ['X', onChip('F')], 's'),
            step('add', ['s', onChip('f')], 's'),
            copy('s', 'S'),
          ],
          'H',
        ),
      ],
    },
    ...(halves
      ? [
          { name: 'concatenation', steps: [tiled([copy('X', 'l'), copy('l', 'L')], 'H')] },
          {
            name: 'blur and subsampling',
            steps: [tiled([step('concat', ['S', 'L'], 'd'), step('blur-pool', ['d'], 'e'), copy('e', 'E')])],
          },
        ]
      : []),
    {
      name: 'expansion',
      steps: [
        ...loadWeights('U', 'a'),
        tiled([
          step('product', [halves ? 'E' : 'S', onChip('U')], 'z'),
          step('add', ['z', onChip('a')], 'z'),
          step('relu', ['z'], 'z'),
          copy('z', 'Z'),
        ]),
      ],
    },
    {
      name: 'projection',
      steps: [
        ...loadWeights('V', 'b'),
        tiled([
          step('product', ['Z', onChip('V')], 'y'),
          step('add', ['y', onChip('b')], 'y'),
          ...(sizes.residual ? [step('add', ['y', 'X'], 'y')] : []),
          copy('y', 'Y'),
        ]),
      ],
    },
  ];
  return {
    name: 'convfirst-layer-wise',
    title: `ConvFirst block${halves ? ', stride 2' : ''}, layer-wise`,
    axes,
    tensors: {
      ...tensors,
      s: local('s', [...map, 'C']),
      S: dram('S', [...map, 'C']),
      ...(halves && {
        l: local('l', [...map, 'C']),
        L: dram('L', [...map, 'C']),
        d: local('d', [...map, 'D'], 1),
        e: local('e', [...outMap, 'D']),
        E: dram('E', [...outMap, 'D']),
      }),
      z: local('z', [...outMap, 'R']),
      Z: dram('Z', [...outMap, 'R']),
      y: local('y', [...outMap, outputs]),
    },
    kernels,
  };
}

/**
 * ConvFirst block in one kernel: a processor loads a tile of the input with its halo, starts its
 * accumulators with the input (the shortcut), convolves it, and goes over groups of hidden channels. Tensors as layer-wise.
 */
export function convFirstFused(sizes: FixedSizes): Machine {
  const { halves, map, outMap, outputs, between, tensors, axes, rows } = outline(sizes);
  const { images, rows: tileRows, hidden } = sizes.tiles;
  const spatial: Step[] = [
    step('grouped-conv', ['x', onChip('F')], 's'),
    step('add', ['s', onChip('f')], 's'),
    ...(halves ? [step('concat', ['s', 'x'], 'd'), step('blur-pool', ['d'], 'e')] : []),
  ];
  return {
    name: 'convfirst-fused',
    title: `ConvFirst block${halves ? ', stride 2' : ''}, fused`,
    axes,
    tensors: {
      ...tensors,
      x: local('x', [...map, 'C'], halves ? 2 : 1),
      s: local('s', [...map, 'C'], halves ? 1 : 0),
      ...(halves && { d: local('d', [...map, 'D'], 1), e: local('e', [...outMap, between]) }),
      z: local('z', [...outMap, 'R']),
      y: local('y', [...outMap, outputs]),
    },
    kernels: [
      {
        name: 'ConvFirst block',
        steps: [
          ...loadWeights('F', 'f', 'U', 'a', 'V', 'b'),
          onProcessors('N', images, [
            onProcessors(rows, tileRows, [
              copy('X', 'x'),
              sizes.residual ? copy('x', 'y') : step('zero', [], 'y'),
              ...spatial,
              inTurn('R', hidden, [
                step('product', [halves ? 'e' : 's', onChip('U')], 'z'),
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

/**
 * ConvFirst block in one kernel, for many channels: each processor owns a group of channels, of the input and of the
 * output, and processors sum partial hidden activations in global memory. Tensors as layer-wise.
 *
 * Throws `invalid-argument` for stride 2 and for other output channels than input channels.
 */
export function convFirstSplit(sizes: FixedSizes): Machine {
  if (!sizes.residual) {
    throw invalidArgument(
      'The channel split needs stride 1 and as many output as input channels: use convfirst-fused.',
    );
  }
  const { map, tensors, axes } = outline(sizes);
  const { images, rows, hidden, channels } = sizes.tiles;
  return {
    name: 'convfirst-split',
    title: 'ConvFirst block, fused, channels split over processors',
    axes,
    tensors: {
      ...tensors,
      p: global('p', [...map, 'R']),
      x: local('x', [...map, 'C'], 1),
      s: local('s', [...map, 'C']),
      z: local('z', [...map, 'R']),
      y: local('y', [...map, 'C']),
    },
    kernels: [
      {
        name: 'ConvFirst block',
        steps: [
          ...loadWeights('F', 'f', 'U', 'a', 'V', 'b'),
          inTurn('N', images, [
            inTurn('H', rows, [
              step('zero', [], 'p'),
              onProcessors('C', channels, [
                copy('X', 'x'),
                copy('x', 'y'),
                step('grouped-conv', ['x', onChip('F')], 's'),
                step('add', ['s', onChip('f')], 's'),
                inTurn('R', hidden, [accumulate('product', ['s', onChip('U')], 'p')]),
                BARRIER,
                inTurn('R', hidden, [
                  step('add', ['p', onChip('a')], 'z'),
                  step('relu', ['z'], 'z'),
                  accumulate('product', ['z', onChip('V')], 'y'),
                ]),
                step('add', ['y', onChip('b')], 'y'),
                copy('y', 'Y'),
              ]),
            ]),
          ]),
        ],
      },
    ],
  };
}
