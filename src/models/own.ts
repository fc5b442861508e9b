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

const depth = count('', 1, 1000);
const depths = list('blocks in each stage', depth);
const ratio = (help: string) => number(help, { above: 0, most: 16 });
const channels = list('of each stage', count('', 1, 2 ** 14));
const kernels = list('size of each stage, odd', odd);
const stem = count('pixels of the input, each way, that the first convolution makes one; default 4', 1, 32);

/** What a network of one's own is made of: a family and its sizes. */
export const ownModelSchema = tagged('a network of your own', 'family', {
  slak: {
    ...common,
    depths: needed(depths),
    channels: needed(channels),
    widthFactor: ratio('on the channels; default 1.3'),
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
    depths: needed(depths),
    channels: needed(channels),
    kernel: count('of the depthwise convolutions, odd; default 7', 1, 511),
    stem,
  },
  replknet: {
    ...common,
    depths: needed(list('pairs of blocks in each of four stages', depth, { length: 4 })),
    channels: needed(list('of each of four stages', count('', 1, 2 ** 14), { length: 4 })),
    kernels: needed(list('size of each of four stages, odd', odd, { length: 4 })),
    smallKernel: count('of the branch beside the large kernel; default: none', 1, 511),
    depthwiseRatio: ratio("channels of the depthwise convolutions over the stage's; default 1"),
    ffnRatio: ratio('hidden channels of the ConvFFN over the stage; default 4'),
  },
  convfirst: {
    ...common,
    depths: needed(list('blocks in stages 1 to 5', depth, { length: 5 })),
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
      return slak(named);
    case 'convnext':
      return convnext({ ...named, keySets: ['official'] });
    case 'replknet':
      return replknet(named);
    case 'convfirst':
      return convfirst(named);
  }
}
