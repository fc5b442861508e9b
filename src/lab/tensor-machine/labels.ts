import { axisOf, tensorOf } from './machine.ts';
import type { Loop, Machine, Operation, Tensor } from './machine.ts';

/**
 * Sizes of what a tensor holds within loops, such as `n×(h+2)×W×C`: capital letters are whole axes, small ones tiles.
 */
export function shapeLabel(machine: Machine, tensor: Tensor, loops: readonly Loop[]): string {
  const cut = new Set(loops.map(({ axis }) => axis));
  return tensor.axes
    .map((axis) => {
      const { follows } = axisOf(machine, axis);
      const halo = tensor.halo?.[axis] ?? 0;
      if (tensor.memory === 'dram') return axis;
      if (cut.has(axis)) return halo === 0 ? axis.toLowerCase() : `(${axis.toLowerCase()}+${2 * halo})`;
      if (follows === undefined || !cut.has(follows.axis)) return axis;
      // Centres of p windows, (p − 1)·stride + 1 positions, and the halo.
      const more = 2 * halo + 1 - follows.stride;
      const tile = `${follows.stride}${follows.axis.toLowerCase()}`;
      return more === 0 ? tile : `(${tile}${more < 0 ? '−' : '+'}${Math.abs(more)})`;
    })
    .join('×');
}

/** `each processor: N by 1, H by 8`. */
export function loopLabel(loops: readonly Loop[]): string {
  const tiles = loops.map(({ axis, tile }) => `${axis} by ${tile}`).join(', ');
  return `${loops[0]?.runs === 'on-processors' ? 'each processor' : 'in turn'}: ${tiles}`;
}

/** What an operation is called within a chain, where its first input needs no mention. */
export function operationLabel(machine: Machine, { operator, inputs }: Operation): string {
  const labels = inputs.map((name) => tensorOf(machine, name).label);
  const [first = '', second = ''] = labels;
  switch (operator) {
    case 'product':
      return `${first} × ${second}`;
    case 'grouped-conv': {
      const [, , rows = '', columns = ''] = tensorOf(machine, inputs[1] ?? '').axes;
      return `grouped conv ${axisOf(machine, rows).size}×${axisOf(machine, columns).size}`;
    }
    case 'add':
      return `+ ${second}`;
    case 'multiply':
      return `${first} × ${second}`;
    case 'relu':
      return 'ReLU';
    case 'silu':
      return 'SiLU';
    case 'sigmoid':
      return 'sigmoid';
    case 'global-pool':
      return 'global average pool';
    case 'blur-pool':
      return 'BlurPool';
    case 'concat':
      return `concat ${first}, ${second}`;
    case 'copy':
    case 'zero':
      return operator;
  }
}

const PREFIXES = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** Three significant digits and a decimal prefix: `12.4 G`. */
export function quantity(value: number): string {
  const [unit, prefix] = PREFIXES.find(([least]) => value >= least) ?? [1, ''];
  const scaled = value / unit;
  const digits = scaled >= 100 || Number.isInteger(scaled) ? 0 : scaled >= 10 ? 1 : 2;
  return `${scaled.toFixed(digits)} ${prefix}`.trimEnd();
}
