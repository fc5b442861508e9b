import { invalidArgument, shortened } from '../../core/errors.ts';
import { nearestNames } from '../../core/nearest.ts';
import { CONVFIRST_DEFAULTS, convFirstFused, convFirstLayerWise, convFirstSplit } from './convfirst.ts';
import { FFN_DEFAULTS, ffn } from './ffn.ts';
import type { Machine } from './machine.ts';
import { MBCONV_DEFAULTS, mbConvFused, mbConvLayerWise } from './mbconv.ts';
import { fixSizes } from './sizes.ts';
import type { BlockDefaults, BlockSizes, FixedSizes } from './sizes.ts';

interface MachineEntry {
  readonly summary: string;
  readonly defaults: BlockDefaults;
  readonly describe: (sizes: FixedSizes) => Machine;
}

/** All machines by name. */
export const machines = {
  ffn: {
    summary: 'feed-forward network, fused: the hidden tensor never reaches memory',
    defaults: FFN_DEFAULTS,
    describe: ffn,
  },
  'convfirst-layer-wise': {
    summary: 'ConvFirst block, one kernel a layer',
    defaults: CONVFIRST_DEFAULTS,
    describe: convFirstLayerWise,
  },
  'convfirst-fused': {
    summary: 'ConvFirst block in one kernel',
    defaults: CONVFIRST_DEFAULTS,
    describe: convFirstFused,
  },
  'convfirst-split': {
    summary: 'ConvFirst block in one kernel, channels split over processors',
    defaults: CONVFIRST_DEFAULTS,
    describe: convFirstSplit,
  },
  'mbconv-layer-wise': {
    summary: 'MBConv block with squeeze-and-excitation, one kernel a layer',
    defaults: MBCONV_DEFAULTS,
    describe: mbConvLayerWise,
  },
  'mbconv-fused': {
    summary: 'MBConv block with squeeze-and-excitation in one kernel',
    defaults: MBCONV_DEFAULTS,
    describe: mbConvFused,
  },
} as const satisfies Readonly<Record<string, MachineEntry>>;

export type MachineName = keyof typeof machines;

export const MACHINE_NAMES: readonly MachineName[] = Object.keys(machines).filter(isMachineName);

function isMachineName(name: string): name is MachineName {
  return Object.hasOwn(machines, name);
}

/**
 * The machine of that name, for a block of these sizes.
 *
 * Throws `invalid-argument` if there is no such machine, or if sizes do not fit it.
 */
export function describeMachine(name: string, sizes: BlockSizes): Machine {
  if (!isMachineName(name)) {
    const nearest = nearestNames(name, MACHINE_NAMES).join(' or ');
    throw invalidArgument(`There is no tensor machine "${shortened(name)}": did you mean ${nearest}?`);
  }
  const { defaults, describe } = machines[name];
  return describe(fixSizes(name, sizes, defaults));
}
