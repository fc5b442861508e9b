import { Command } from 'commander';

import type { CommandContext } from './context.ts';
import { clearCache, examine } from './doctor-facts.ts';
import type { DoctorFacts } from './doctor-facts.ts';
import { formatNumber, formatTable } from './table.ts';

interface DoctorOptions {
  readonly clearCache?: boolean;
  readonly python?: string;
  readonly json?: boolean;
}

/** `widefield doctor`: what the machine offers and what Widefield will use. */
export function doctorCommand({ signal, print }: CommandContext): Command {
  return new Command('doctor')
    .description('say what this machine offers and what Widefield will use')
    .option('--clear-cache', 'remove compiled kernels first')
    .option('--python <path>', 'the interpreter that has PyTorch (default: the first python3 that has it)')
    .option('--json', 'print one JSON object')
    .action(async ({ clearCache: clear, python, json }: DoctorOptions) => {
      const cleared = clear === true ? await clearCache() : undefined;
      const facts = await examine({ signal, ...(python !== undefined && { python }) });
      if (json === true) {
        print(JSON.stringify({ ...facts, ...(cleared && { cleared }) }, undefined, 2));
        return;
      }
      if (cleared)
        print(`Removed ${cleared.files} files of compiled kernels, ${formatNumber(cleared.mib)} MiB.\n`);
      print(formatFacts(facts));
    });
}

function formatFacts({ machine, native, wasm, auto, tuning, peers }: DoctorFacts): string {
  const yesNo = (value: boolean): string => (value ? 'yes' : 'no');
  const nativeRows = native.available
    ? [
        ['native', native.note],
        ['  compiler', `${native.compiler} (${native.compilerPath})`],
        [
          '  vectors',
          `${native.lanes} lanes, ${native.vectorRegisters} registers, fused multiply-add ${yesNo(native.fma)}`,
        ],
        ['  flags', native.flags.join(' ')],
        [
          '  cache',
          `${native.cacheFolder}: ${native.cacheFiles} files, ${formatNumber(native.cacheMiB)} MiB`,
        ],
      ]
    : [['native', `not available: ${native.reason}`]];
  const rows = [
    ['Widefield', machine.widefield],
    ['Node', machine.node],
    ['system', machine.os],
    ['processor', `${machine.cpu}, ${machine.cores} cores`],
    ['memory', `${machine.memoryMiB} MiB`],
    ...nativeRows,
    ['wasm', wasm.available ? wasm.note : `not available: ${wasm.reason}`],
    [
      '  features',
      `SIMD ${yesNo(wasm.simd)}, relaxed SIMD ${yesNo(wasm.relaxedSimd)}, threads ${yesNo(wasm.threads)}`,
    ],
    ['auto takes', auto.device === undefined ? `nothing: ${auto.reason}` : `${auto.device}: ${auto.reason}`],
    ['tuning', 'problem' in tuning ? tuning.problem : `${tuning.file}: ${tuning.records} measured problems`],
    ...Object.entries(peers).map(([name, peer]) => [
      `peer ${name}`,
      'version' in peer ? peer.version : `not here: ${peer.absent}`,
    ]),
  ];
  return formatTable([{ title: '' }, { title: '' }], rows).trimStart();
}
