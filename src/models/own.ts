import { invalidArgument } from '../core/errors.ts';
import { choice, count, list, needed, number, tagged, text } from '../core/schema.ts';
import type { Fields, Read } from '../core/schema.ts';
import { convfirst } from './convfirst.ts';
import { convnext } from './convnext.ts';
import type { ModelVariant } from './model.ts';
import { replknet } from './replknet.ts';
import { slak } from './slak.ts';

const odd = number('', { whole: true, least: 1, most: 511 });

const common = {
  name: text('what it is called; default: the family'),
  resolution: count("pixels of the square input; default: the family's", 1, 2 ** 14),
} satisfies Fields;

const depths = (help: string) => list(help, count(''));
const channels = list('of each stage', count('', 1, 2 ** 14));
const kernels = list('size of each stage, odd', odd);
const stem = count('pixels of the input, each way, that the first convolution makes one; default 4', 1, 32);

/** What a network of one's own is made of: a family and its sizes. */
export const ownModelSchema = tagged('a network of your own', 'family', {
  slak: {
    ...common,
    depths: needed(depths('blocks in each stage')),
    channels: needed(channels),
    widthFactor: number('on the channels; default 1.3', { above: 0, most: 16 }),
    kernels: needed(kernels),
    smallKernel: count('of the small branches; default 5', 1, 511),
    decomposition: choice('how large kernels are made; default parallel', [
      'parallel',
      'sequential',
      'stacked',
      'dilated',
      'full',
    ]),
    stem,
  },
  convnext: {
    ...common,
    depths: needed(depths('blocks in each stage')),
    channels: needed(channels),
    kernel: count('of the depthwise convolutions, odd; default 7', 1, 511),
    stem,
  },
  replknet: {
    ...common,
    depths: needed(list('pairs of blocks in each of four stages', count(''), { length: 4 })),
    channels: needed(list('of each of four stages', count('', 1, 2 ** 14), { length: 4 })),
    kernels: needed(list('size of each of four stages, odd', odd, { length: 4 })),
    smallKernel: count('of the branch beside the large kernel; default: none', 1, 511),
    depthwiseRatio: number("channels of the depthwise convolutions over the stage's; default 1", {
      above: 0,
    }),
    ffnRatio: number('hidden channels of the ConvFFN over the stage; default 4', { above: 0 }),
  },
  convfirst: {
    ...common,
    depths: needed(list('blocks in stages 1 to 5', count(''), { length: 5 })),
    channels: needed(list('of stages 0 to 5, multiples of 8', count('', 8, 2 ** 14), { length: 6 })),
    last: count('channels before pooling; default 1280', 1, 2 ** 14),
  },
});

export type OwnModel = Read<typeof ownModelSchema>;

/** The network that a configuration describes. Throws `invalid-argument` for sizes that do not go together. */
export function buildOwnModel(config: OwnModel): ModelVariant {
  const named = { ...config, name: config.name ?? config.family };
  switch (named.family) {
    case 'slak':
      checkStages(named.depths, { channels: named.channels, kernels: named.kernels });
      return slak(named);
    case 'convnext':
      checkStages(named.depths, { channels: named.channels });
      checkOdd('kernel', [named.kernel ?? 7]);
      return convnext({ ...named, keySets: ['official'] });
    case 'replknet':
      return replknet(named);
    case 'convfirst': {
      const bad = named.channels.find((width) => width % 8 > 0);
      if (bad !== undefined) throw invalidArgument(`model.channels must be multiples of 8, got ${bad}.`);
      return convfirst(named);
    }
  }
}

function checkStages(stages: readonly number[], lists: Readonly<Record<string, readonly number[]>>): void {
  for (const [name, values] of Object.entries(lists)) {
    if (values.length === stages.length) continue;
    throw invalidArgument(
      `model.${name} has ${values.length} values, but there are ${stages.length} stages in model.depths: give one for each.`,
    );
  }
}

function checkOdd(name: string, values: readonly number[]): void {
  const even = values.find((value) => value % 2 === 0);
  if (even !== undefined) throw invalidArgument(`model.${name} must be odd, got ${even}.`);
}
