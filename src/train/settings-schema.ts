import {
  alsoCalled,
  choice,
  count,
  either,
  flag,
  list,
  number,
  object,
  pair,
  tagged,
  text,
  withDefault,
} from '../core/schema.ts';
import type { Fields } from '../core/schema.ts';
import { MIX_DEFAULTS } from './mix.ts';
import { SPARSITY_DEFAULTS } from './sparsity/controller.ts';

// The one table of everything that determines a run: kinds, ranges, defaults and help. Checks, JSON Schema and flags of
// the command line follow from it.

const probability = (help: string) => number(help, { least: 0, most: 1 });
const rate = (help: string) => number(help, { least: 0, most: 0.999 });
const range = (help: string, most?: number) =>
  pair(help, number('', { above: 0, ...(most !== undefined && { most }) }));
const interpolation = choice('how values between pixels are made', ['bicubic', 'bilinear']);

const CROP = 'how an image comes to the size that the network sees';
const kept = {
  none: {},
  centre: {
    resize: either(
      'pixels of the shorter side before the cut; warp: both sides',
      count(''),
      choice('', ['warp']),
    ),
    interpolation: withDefault(interpolation, 'bicubic'),
  },
} satisfies Readonly<Record<string, Fields>>;

const crop = tagged(CROP, 'kind', {
  none: kept.none,
  pad: {
    padding: withDefault(count('pixels around the image', 0), 4),
    fill: withDefault(
      either('what is around it', number('', { least: 0, most: 255 }), choice('', ['reflect'])),
      0,
    ),
  },
  'random-resized': {
    area: withDefault(range('share of the area that is seen', 1), [0.08, 1]),
    ratio: withDefault(range('of width to height'), [3 / 4, 4 / 3]),
    interpolation: withDefault(interpolation, 'bicubic'),
    exact: withDefault(flag("the same bits as Pillow's, slower"), false),
  },
  centre: kept.centre,
});

const randAugment = either(
  "RandAugment in timm's notation, such as rand-m9-mstd0.5-inc1",
  text(''),
  object('', {
    magnitude: number('strength', { least: 0 }),
    magnitudeStd: number('its deviation', { least: 0 }),
    magnitudeMax: number('its limit', { least: 0 }),
    operations: count('operations an image', 0, 100),
    increasing: flag('all become stronger with the magnitude'),
  }),
);

const colourJitter = either(
  'how far brightness, contrast and saturation change',
  number('', { least: 0 }),
  object('', {
    brightness: number('', { least: 0 }),
    contrast: number('', { least: 0 }),
    saturation: number('', { least: 0 }),
    hue: number('', { least: 0, most: 0.5 }),
  }),
);

const erase = either(
  'probability of random erasing',
  probability(''),
  object('', {
    probability: withDefault(probability(''), 0.25),
    mode: choice('what erased pixels become', ['pixel', 'rand', 'const']),
    area: range('erased share of the area', 1),
    ratio: range('of height to width'),
    count: count('rectangles at most', 1, 1000),
  }),
);

const looks = {
  channels: choice('networks see RGB; grey images are converted', [3]),
  mean: list('of channels between 0 and 1', number('')),
  std: list('what is divided by', number('', { above: 0 })),
} satisfies Fields;

const transform = {
  crop: withDefault(crop, { kind: 'random-resized' }),
  ...looks,
  flip: withDefault(probability('probability of being mirrored'), 0.5),
  randAugment,
  colourJitter,
  erase,
} satisfies Fields;

// Nothing that is random or moves the image.
const evaluation = {
  crop: withDefault(tagged(CROP, 'kind', kept), { kind: 'centre' }),
  ...looks,
} satisfies Fields;

const schedule = tagged('how the learning rate goes after the warm-up', 'kind', {
  cosine: { final: withDefault(number('the rate that the cosine falls towards', { least: 0 }), 1e-6) },
  step: {
    every: withDefault(number('epochs from one step to the next', { above: 0 }), 2.4),
    factor: withDefault(number('what the rate is multiplied by', { above: 0 }), 0.97),
  },
  constant: {},
});

export const OPTIMIZER_RULES = ['adamw', 'sgd', 'nesterov', 'rmsprop'] as const;

const optimizer = {
  rule: withDefault(choice('how weights follow their gradients', OPTIMIZER_RULES), 'adamw'),
  betas: pair(
    'momentum, and decay of squares; default 0.9,0.999; for rmsprop 0.9,0.9',
    number('', { least: 0, below: 1 }),
  ),
  epsilon: number('default 1e-8; for rmsprop 1e-3', { least: 0 }),
  weightDecay: number('decoupled for adamw (default 0.05), L2 for the others (1e-4; rmsprop 1e-5)', {
    least: 0,
  }),
  layerDecay: withDefault(number("each block's rate over that of the next one", { above: 0, most: 1 }), 1),
} satisfies Fields;

const mix = {
  mixup: withDefault(number('α of Mixup; 0: none', { least: 0 }), MIX_DEFAULTS.mixup),
  cutmix: withDefault(number('α of CutMix; 0: none', { least: 0 }), MIX_DEFAULTS.cutmix),
  probability: withDefault(probability('share of batches that are mixed'), MIX_DEFAULTS.probability),
  switch: withDefault(probability('share of CutMix where both are on'), MIX_DEFAULTS.switch),
} satisfies Fields;

const sparsity = {
  sparsity: withDefault(
    number('share of masked weights that are zero; training is dense unless something of sparsity is given', {
      least: 0,
      below: 1,
    }),
    SPARSITY_DEFAULTS.sparsity,
  ),
  density: withDefault(
    choice('how the others are distributed over layers', ['snip', 'erk', 'uniform']),
    SPARSITY_DEFAULTS.density,
  ),
  scope: withDefault(choice('which weights are masked', ['all', 'large-kernels']), SPARSITY_DEFAULTS.scope),
  prune: withDefault(
    probability('share of weights that the first exchange replaces'),
    SPARSITY_DEFAULTS.prune,
  ),
  every: withDefault(count('updates between exchanges'), SPARSITY_DEFAULTS.every),
  growth: withDefault(choice('which weights come in', ['random', 'gradient']), SPARSITY_DEFAULTS.growth),
  static: withDefault(flag('keep the first masks'), SPARSITY_DEFAULTS.static),
  official: withDefault(flag('as the official SLaK code, not its paper'), SPARSITY_DEFAULTS.official),
} satisfies Fields;

const initial = {
  scheme: withDefault(
    choice('how weights start', ['truncated-normal', 'uniform', 'he-normal']),
    'truncated-normal',
  ),
  layerScale: withDefault(number('what layer scales start with'), 1e-6),
} satisfies Fields;

const distillation = {
  share: withDefault(probability("share of the teacher's distribution in the targets"), 0.5),
  temperature: withDefault(number("what the teacher's logits are divided by", { above: 0 }), 1),
} satisfies Fields;

export const settingsFields = {
  epochs: withDefault(count('passes over the training data'), 10),
  batchSize: withDefault(count('images a step'), 64),
  accumulate: withDefault(count('batches whose gradients make one update'), 1),
  resolution: count("pixels of the square input; default: the model's own", 1, 2 ** 14),
  seed: withDefault(count('of weights, order, augmentation and masks', 0, 2 ** 32 - 1), 0),
  rate: number('highest learning rate; default: 4e-3 · images an update / 4096', { least: 0 }),
  schedule: withDefault(schedule, { kind: 'cosine' }),
  warmupEpochs: withDefault(number('epochs of linear warm-up', { least: 0 }), 0),
  optimizer: withDefault(object('the optimizer', optimizer), {}),
  clip: number('largest norm of all gradients; default: none', { above: 0 }),
  smoothing: withDefault(probability('what is spread over all classes'), 0.1),
  mix: withDefault(object('Mixup and CutMix', mix), {}),
  dropPath: withDefault(rate('stochastic depth of the last block'), 0),
  dropout: withDefault(rate('dropout before the classifier'), 0),
  normMomentum: number("share of a batch in batch norms' running statistics; default 0.1", {
    above: 0,
    most: 1,
  }),
  averageDecay: number('decay of the average of the weights, which is then kept; default: none', {
    least: 0,
    below: 1,
  }),
  reestimate: withDefault(
    flag("batch norms' statistics anew for what is evaluated and kept; averaged weights want it"),
    false,
  ),
  recompute: withDefault(
    alsoCalled(flag('recompute activations: less memory, more time'), 'checkpoint', 'checkpointing'),
    false,
  ),
  sparsity: object('sparse training', sparsity),
  initial: withDefault(object('how weights start', initial), {}),
  transform: withDefault(object('augmentation of training images', transform), {}),
  evaluation: withDefault(
    object('how images are evaluated; default: the centre, normalised as in training', evaluation),
    {},
  ),
  distillation: withDefault(object('with a teacher', distillation), {}),
} satisfies Fields;

export const settingsSchema = object('what determines a run', settingsFields);
