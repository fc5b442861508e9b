import { Command, InvalidArgumentError } from 'commander';

import { countMachine } from '../../lab/tensor-machine/count.ts';
import type { MachineCount } from '../../lab/tensor-machine/count.ts';
import { drawMachine } from '../../lab/tensor-machine/draw.ts';
import type { Machine } from '../../lab/tensor-machine/machine.ts';
import { MACHINE_NAMES, describeMachine, machines } from '../../lab/tensor-machine/machines.ts';
import type { CommandContext } from '../context.ts';
import { parseBatch, parseCount, parseResolution } from '../options.ts';
import type { Resolution } from '../options.ts';
import { formatNumber } from '../table.ts';
import { present, withOutputOptions } from './present.ts';
import type { LabTable, OutputOptions } from './present.ts';

interface TensorMachineOptions extends OutputOptions {
  readonly channels: number;
  readonly expansion?: number;
  readonly size?: Resolution;
  readonly batch?: number;
  readonly outputs?: number;
  readonly stride?: 1 | 2;
  readonly bytes: number;
}

/** `widefield lab tensor-machine`: a fused or layer-wise block as an abstract kernel, counted and drawn. */
export function tensorMachineCommand(context: CommandContext): Command {
  const names = MACHINE_NAMES.map((name) => `  ${name.padEnd(22)}${machines[name].summary}`).join('\n');
  const command = new Command('tensor-machine')
    .description('draw a kernel as a tensor machine, and count its operations and DRAM accesses')
    .argument('<name>', 'the machine, such as convfirst-fused')
    .option('--channels <count>', 'input channels', (text) => parseCount(text), 64)
    .option('--expansion <factor>', 'hidden channels over input channels', (text) => parseCount(text))
    .option('--size <pixels>', 'the map: 64, or height x width such as 48x64', parseResolution)
    .option('--batch <count>', 'images (default: 128)', parseBatch)
    .option('--outputs <count>', 'output channels (default: as input channels)', (text) => parseCount(text))
    .option('--stride <stride>', '2 for the form that halves the map (default: 1)', parseStride)
    .option('--bytes <count>', 'bytes of an element', (text) => parseCount(text, 8), 2);
  return withOutputOptions(command)
    .addHelpText(
      'after',
      `\nMachines:\n${names}\n\nExample:\n  widefield lab tensor-machine mbconv-fused --channels 128 --out mbconv.svg`,
    )
    .action(async (name: string, { out, json, bytes, ...sizes }: TensorMachineOptions) => {
      const machine = describeMachine(name, sizes);
      const count = countMachine(machine, bytes);
      await present(
        context,
        { ...(out !== undefined && { out }), ...(json !== undefined && { json }) },
        {
          // The description itself is data, so it is part of the result.
          json: { name: machine.name, title: machine.title, dtypeBytes: bytes, ...count, machine },
          tables: [tableOf(machine, count)],
          plot: () => Promise.resolve(drawMachine(machine)),
        },
      );
    });
}

function parseStride(text: string): 1 | 2 {
  if (text !== '1' && text !== '2') throw new InvalidArgumentError('Use 1 or 2.');
  return text === '1' ? 1 : 2;
}

function tableOf(machine: Machine, count: MachineCount): LabTable {
  const number = { align: 'right' } as const;
  const row = ({
    name,
    operations,
    bytes,
    intensity,
    withHalo,
  }: MachineCount['kernels'][number]): string[] => [
    name,
    formatNumber(operations / 1e9),
    formatNumber(bytes / 1e6),
    formatNumber(intensity),
    formatNumber(withHalo.bytes / 1e6),
  ];
  const sizes = ['N', 'H', 'W', 'C', 'R']
    .map((axis) => `${axis} = ${machine.axes[axis]?.size ?? ''}`)
    .join(', ');
  const { footprint, kernels } = count;
  const onChip = `On the chip: ${footprint.global} elements in global memory, ${footprint.local} in a processor's.`;
  return {
    title: `${machine.title}: ${sizes}`,
    columns: [
      { title: 'kernel' },
      { title: 'Gop', ...number },
      { title: 'DRAM MB', ...number },
      { title: 'op/byte', ...number },
      { title: 'MB with halos', ...number },
    ],
    rows: [...kernels.map(row), ...(kernels.length > 1 ? [row({ ...count, name: 'in all' })] : [])],
    notes: [onChip],
  };
}
