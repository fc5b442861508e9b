import { extname } from 'node:path';

import { Command, InvalidArgumentError } from 'commander';

import { WidefieldError } from '../../core/errors.ts';
import { countMachine } from '../../lab/tensor-machine/count.ts';
import type { MachineCount } from '../../lab/tensor-machine/count.ts';
import { drawMachine } from '../../lab/tensor-machine/draw.ts';
import type { Machine } from '../../lab/tensor-machine/machine.ts';
import { MACHINE_NAMES, describeMachine, machines } from '../../lab/tensor-machine/machines.ts';
import type { CommandContext } from '../context.ts';
import { parseBatch, parseCount, parseResolution } from '../options.ts';
import type { Resolution } from '../options.ts';
import { formatNumber, formatTable } from '../table.ts';
import { writeWhole } from '../write-file.ts';

interface TensorMachineOptions {
  readonly channels: number;
  readonly expansion?: number;
  readonly size?: Resolution;
  readonly batch?: number;
  readonly outputs?: number;
  readonly stride?: 1 | 2;
  readonly bytes: number;
  readonly out?: string;
  readonly json?: boolean;
}

/** Pixels of PNG files for a pixel of the drawing: sharp on screens of high density. */
const PNG_SCALE = 2;
/** Pixels an inch at which one unit of an SVG is one pixel. */
const SVG_DENSITY = 72;

/** `widefield lab tensor-machine`: a fused or layer-wise block as an abstract kernel, counted and drawn. */
export function tensorMachineCommand({ print, warn, signal }: CommandContext): Command {
  const names = MACHINE_NAMES.map((name) => `  ${name.padEnd(22)}${machines[name].summary}`).join('\n');
  return new Command('tensor-machine')
    .description('draw a kernel as a tensor machine, and count its operations and DRAM accesses')
    .argument('<name>', 'the machine, such as convfirst-fused')
    .option('--channels <count>', 'input channels', (text) => parseCount(text), 64)
    .option('--expansion <factor>', 'hidden channels over input channels', (text) => parseCount(text))
    .option('--size <pixels>', 'the map: 64, or height x width such as 48x64', parseResolution)
    .option('--batch <count>', 'images (default: 128)', parseBatch)
    .option('--outputs <count>', 'output channels (default: as input channels)', (text) => parseCount(text))
    .option('--stride <stride>', '2 for the form that halves the map (default: 1)', parseStride)
    .option('--bytes <count>', 'bytes of an element', (text) => parseCount(text, 8), 2)
    .option('--out <file>', 'write the drawing: .svg or .png', parseDrawing)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `\nMachines:\n${names}\n\nExample:\n  widefield lab tensor-machine mbconv-fused --channels 128 --out mbconv.svg`,
    )
    .action(async (name: string, { out, json, bytes, ...sizes }: TensorMachineOptions) => {
      const machine = describeMachine(name, sizes);
      const count = countMachine(machine, bytes);
      print(
        json === true ? JSON.stringify(toJson(machine, count, bytes), undefined, 2) : format(machine, count),
      );
      if (out === undefined) return;
      await writeWhole(out, [await render(drawMachine(machine), out)], signal);
      warn(`The drawing is in ${out}.`);
    });
}

function parseStride(text: string): 1 | 2 {
  if (text !== '1' && text !== '2') throw new InvalidArgumentError('Use 1 or 2.');
  return text === '1' ? 1 : 2;
}

function parseDrawing(text: string): string {
  if (!['.svg', '.png'].includes(extname(text).toLowerCase())) {
    throw new InvalidArgumentError('Use a name that ends in .svg or .png.');
  }
  return text;
}

async function render(svg: string, file: string): Promise<Uint8Array | string> {
  if (extname(file).toLowerCase() === '.svg') return svg;
  const { default: sharp } = await import('sharp').catch((cause: unknown) => {
    throw new WidefieldError(
      'unsupported',
      'The package sharp is needed for PNG files: install it, or write an .svg.',
      {
        cause,
      },
    );
  });
  return sharp(Buffer.from(svg), { density: SVG_DENSITY * PNG_SCALE })
    .png()
    .toBuffer();
}

/** The description itself is data, so it is part of the result. */
function toJson(machine: Machine, count: MachineCount, dtypeBytes: number) {
  return { name: machine.name, title: machine.title, dtypeBytes, ...count, machine };
}

function format(machine: Machine, count: MachineCount): string {
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
  const table = formatTable(
    [
      { title: 'kernel' },
      { title: 'Gop', ...number },
      { title: 'DRAM MB', ...number },
      { title: 'op/byte', ...number },
      { title: 'MB with halos', ...number },
    ],
    [...kernels.map(row), ...(kernels.length > 1 ? [row({ ...count, name: 'in all' })] : [])],
  );
  const onChip = `On the chip: ${footprint.global} elements in global memory, ${footprint.local} in a processor's.`;
  return `${machine.title}: ${sizes}\n\n${table}\n\n${onChip}`;
}
