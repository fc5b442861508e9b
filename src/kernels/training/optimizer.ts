import { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../../codegen/ir.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';

/**
 * How parameters follow their gradients:
 * - `adamw`: Loshchilov & Hutter 2019, as torch.optim.AdamW;
 * - `sgd`: momentum as torch.optim.SGD, on request Nesterov's;
 * - `rmsprop`: TensorFlow's, with epsilon under the root, as timm's RMSpropTF. `moment2` starts as ones.
 */
export type OptimizerRule = 'adamw' | 'sgd' | 'nesterov' | 'rmsprop';

/** One call of an optimizer: a run of parameters that share their hyperparameters. */
export interface OptimizerCall {
  readonly rule: OptimizerRule;
  /** Parameters; a multiple of 16. */
  readonly floats: number;
  /** Whether values are multiplied by `mask` (0 or 1) afterwards: sparse training. */
  readonly masked: boolean;
  /** Whether `average`, the exponential moving average of the values, is kept. */
  readonly averaged: boolean;
}

/**
 * Where each hyperparameter of a step lies in `hyper`. All follow from a step's number on the host, in float64.
 * `gradientScale` multiplies gradients (clipping, accumulation), `decay` times the value is added to them (L2), `keep`
 * multiplies values first (decoupled weight decay, 1 − lr · decay), `rate` is the step's size, `rootScale` multiplies the
 * root of the second moment (1 / √(1 − β₂ᵏ)), `averageKeep` is the average's decay and `averageTake` one minus that.
 */
export const HYPERPARAMETERS = [
  'gradientScale',
  'decay',
  'keep',
  'rate',
  'beta1',
  'oneMinusBeta1',
  'beta2',
  'oneMinusBeta2',
  'rootScale',
  'epsilon',
  'averageKeep',
  'averageTake',
] as const;

export type Hyperparameters = Readonly<Record<(typeof HYPERPARAMETERS)[number], number>>;

/** Floats of `hyper`. */
export const HYPER_FLOATS = 16;

/** Floats that one task updates. */
const TASK_FLOATS = 16 * 1024;

/** Whether a rule keeps first and second moments. */
export function momentsOf(rule: OptimizerRule): { readonly first: boolean; readonly second: boolean } {
  return { first: true, second: rule === 'adamw' || rule === 'rmsprop' };
}

/**
 * The kernel that updates a run of parameters in one pass over memory. Buffers: `values`, `moment1`, `moment2`, `average`
 * (read and written, as rule and call need them), `gradient`, `mask`, `hyper`.
 */
export function emitOptimizer(call: OptimizerCall, caps: DeviceCaps): Kernel {
  const { rule, floats, masked, averaged } = call;
  const lanes = Math.max(...caps.lanes.filter((count) => count <= 16));
  const b = new KernelBuilder({
    name: kernelName(
      'optimizer',
      rule,
      floats,
      ...(masked ? ['masked'] : []),
      ...(averaged ? ['averaged'] : []),
    ),
    description: `${rule} for ${floats} parameters`,
    lanes,
    tasks: Math.ceil(floats / TASK_FLOATS),
  });
  const moments = momentsOf(rule);
  const values = b.inout('values');
  const gradient = b.input('gradient');
  const moment1 = b.inout('moment1');
  const moment2 = moments.second ? b.inout('moment2') : undefined;
  const mask = masked ? b.input('mask') : undefined;
  const average = averaged ? b.inout('average') : undefined;
  const buffer = b.input('hyper');
  const hyper = (name: (typeof HYPERPARAMETERS)[number]): Value =>
    b.loadBroadcast(buffer, 0, HYPERPARAMETERS.indexOf(name));
  const h = Object.fromEntries(HYPERPARAMETERS.map((name) => [name, hyper(name)])) as Record<
    (typeof HYPERPARAMETERS)[number],
    Value
  >;

  const start = b.mul(b.task, TASK_FLOATS);
  b.for(start, b.min(b.add(start, TASK_FLOATS), floats), lanes, (at) => {
    const value = b.loadVec(values, at);
    const slope = b.fma(value, h.decay, b.mul(b.loadVec(gradient, at), h.gradientScale));
    const kept = b.mul(value, h.keep);
    const moved = update(b, rule, h, { at, slope, kept, moment1, moment2 });
    const active = mask && b.loadVec(mask, at);
    const next = active ? b.mul(moved, active) : moved;
    b.store(values, at, next);
    if (average) {
      const before = b.loadVec(average, at);
      const mixed = b.fma(before, h.averageKeep, b.mul(next, h.averageTake));
      // A weight that has just become active is taken as it is (SLaK's rule): its average would start from nothing.
      const taken = active ? b.mul(b.select(b.ne(before, 0), mixed, next), active) : mixed;
      b.store(average, at, taken);
    }
  });
  return b.build();
}

interface Place {
  readonly at: Value;
  readonly slope: Value;
  readonly kept: Value;
  readonly moment1: Buffer;
  readonly moment2: Buffer | undefined;
}

function update(
  b: KernelBuilder,
  rule: OptimizerRule,
  h: Readonly<Record<(typeof HYPERPARAMETERS)[number], Value>>,
  { at, slope, kept, moment1, moment2 }: Place,
): Value {
  const first = b.loadVec(moment1, at);
  if (rule === 'sgd' || rule === 'nesterov') {
    const velocity = b.fma(first, h.beta1, slope);
    b.store(moment1, at, velocity);
    const direction = rule === 'nesterov' ? b.fma(velocity, h.beta1, slope) : velocity;
    return b.sub(kept, b.mul(direction, h.rate));
  }
  if (moment2 === undefined) throw new RangeError(`${rule} needs a second moment`);
  const square = b.fma(b.loadVec(moment2, at), h.beta2, b.mul(b.mul(slope, slope), h.oneMinusBeta2));
  b.store(moment2, at, square);
  if (rule === 'rmsprop') {
    const step = b.div(b.mul(slope, h.rate), b.sqrt(b.add(square, h.epsilon)));
    const velocity = b.fma(first, h.beta1, step);
    b.store(moment1, at, velocity);
    return b.sub(kept, velocity);
  }
  const mean = b.fma(first, h.beta1, b.mul(slope, h.oneMinusBeta1));
  b.store(moment1, at, mean);
  const root = b.fma(b.sqrt(square), h.rootScale, h.epsilon);
  return b.sub(kept, b.div(b.mul(mean, h.rate), root));
}
