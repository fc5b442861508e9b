import { findDevice, peakOf } from '../devices.ts';
import { digits } from '../plots/style.ts';
import { blockBounds } from '../published.ts';
import { countMachine, minimumSeconds } from '../tensor-machine/count.ts';
import { drawMachine } from '../tensor-machine/draw.ts';
import { MACHINE_NAMES, describeMachine } from '../tensor-machine/machines.ts';
import type { MachineName } from '../tensor-machine/machines.ts';
import { compare, table } from './exhibit.ts';
import type { Comparison, Exhibit } from './exhibit.ts';

const BATCH = 128;
const F16_BYTES = 2;

/** Which machines' least times Figures 8 and 12 print. */
const PRINTED: Partial<
  Readonly<Record<MachineName, { kind: 'convfirst' | 'mbconv'; time: 'layerWiseUs' | 'fusedUs' }>>
> = {
  'convfirst-layer-wise': { kind: 'convfirst', time: 'layerWiseUs' },
  'convfirst-fused': { kind: 'convfirst', time: 'fusedUs' },
  'mbconv-layer-wise': { kind: 'mbconv', time: 'layerWiseUs' },
  'mbconv-fused': { kind: 'mbconv', time: 'fusedUs' },
};

/** The drawing of each machine; where a figure prints least times of such blocks, they are counted from the drawing's data. */
export function tensorMachines(): { readonly id: string; readonly create: () => Exhibit }[] {
  return MACHINE_NAMES.map((name) => ({ id: `tensor-machine-${name}`, create: () => exhibitOf(name) }));
}

function exhibitOf(name: MachineName): Exhibit {
  const channels = name.startsWith('mbconv') ? 128 : 64;
  const machine = describeMachine(name, { channels, batch: BATCH });
  const count = countMachine(machine, F16_BYTES);
  return {
    id: `tensor-machine-${name}`,
    title: `Tensor machine: ${machine.title}`,
    source: blockBounds.source.replace(/, Figures.*/, ', section on tensor machines'),
    notes: [],
    svg: drawMachine(machine),
    comparisons: printedTimes(name),
    tables: [
      table(
        'Counted from the description, f16',
        ['kernel', 'Gop', 'DRAM MB', 'op/byte', 'MB with halos'],
        count.kernels.map((kernel) => [
          kernel.name,
          digits(kernel.operations / 1e9),
          digits(kernel.bytes / 1e6),
          digits(kernel.intensity),
          digits(kernel.withHalo.bytes / 1e6),
        ]),
      ),
    ],
    data: { machine, count },
  };
}

function printedTimes(name: MachineName): Comparison[] {
  const printed = PRINTED[name];
  if (printed === undefined) return [];
  const device = findDevice('a5000');
  const rates = { operations: peakOf(device, 'f16'), bytes: device.bandwidth };
  return blockBounds.rows
    .filter(({ kind }) => kind === printed.kind)
    .map((row) => {
      const { channels, expansion, size } = row;
      const machine = describeMachine(name, { channels, expansion, size, batch: BATCH });
      const us = 1e6 * minimumSeconds(countMachine(machine, F16_BYTES), rates);
      return compare(`${channels} channels, α ${expansion}, ${size}×${size}`, 'µs', row[printed.time], us, {
        decimals: 0,
        relative: 0.005,
      });
    });
}
