import { Command } from 'commander';

import type { CommandContext } from './context.ts';
import { amdahlCommand } from './lab/amdahl.ts';
import { blockCommand } from './lab/block.ts';
import { deviceCommand } from './lab/device.ts';
import { gapCommand } from './lab/gap.ts';
import { mediantCommand } from './lab/mediant.ts';
import { projectCommand } from './lab/project.ts';
import { reproduceCommand } from './lab/reproduce.ts';
import { rooflineCommand } from './lab/roofline.ts';
import { scalingCommand } from './lab/scaling.ts';
import { tensorMachineCommand } from './lab/tensor-machine.ts';
import { waterlineCommand } from './lab/waterline.ts';

const commands = [
  deviceCommand,
  waterlineCommand,
  blockCommand,
  amdahlCommand,
  mediantCommand,
  rooflineCommand,
  gapCommand,
  projectCommand,
  scalingCommand,
  tensorMachineCommand,
  reproduceCommand,
];

/** `widefield lab`: why a network is fast or slow on a device. */
export function labCommand(context: CommandContext): Command {
  const lab = new Command('lab').description(
    'say why a network is fast or slow on a device, and what would help',
  );
  for (const create of commands) lab.addCommand(create(context));
  return lab;
}
