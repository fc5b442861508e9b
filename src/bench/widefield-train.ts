import type { StepTime } from '../devices/device.ts';
import type { Device } from '../devices/device.ts';
import { RandomStream } from '../core/random.ts';
import type { Problem } from '../kernels/problem.ts';
import { createTrainingNetwork, stepGraph } from '../train/network.ts';
import type { TrainingNetwork } from '../train/network.ts';
import { createOptimizer } from '../train/optimizer.ts';
import type { Optimizer } from '../train/optimizer.ts';
import { planGraph } from '../runtime/plan.ts';
import type { Plan } from '../runtime/plan.ts';
import { timer } from './engine.ts';
import type { ModelEngine } from './engine.ts';
import { measurePeak } from './peak.ts';
import { isDense, kindOf } from './profile.ts';
import type { KernelTime, Kind } from './profile.ts';
import { LOSS_STEPS, OPTIMIZER, parameterCount } from './train-case.ts';
import type { TrainCase } from './train-case.ts';
import { tuneProblem } from './tuning.ts';
import type { TuningOptions } from './tuning.ts';
import { untunedProblems } from './widefield-model.ts';
import type { OpenedDevice } from './widefield-model.ts';

/** A network in training on one of our devices. */
export async function prepareTraining(
  opened: OpenedDevice,
  test: TrainCase,
  options: TuningOptions,
): Promise<ModelEngine[]> {
  const { device, name, tuning } = opened;
  if (options.tune) await tuneTraining(opened, test, options);
  const begin = performance.now();
  const stepper = await TrainStepper.create(device, test, {
    tuning,
    ...(options.signal && { signal: options.signal }),
  });
  const setupMs = performance.now() - begin;
  const losses: number[] = [];
  try {
    for (let step = 0; step < LOSS_STEPS; step++) losses.push(await stepper.step());
  } catch (error) {
    await stepper.dispose();
    throw error;
  }
  const { plan, bytes } = stepper.network.session;
  return [
    {
      name: `widefield-${name}`,
      device: name,
      threads: device.caps.threads,
      config: `${plan.nodes.length} layers and gradients${test.recompute ? ', activations recomputed' : ''}`,
      timingIncludes:
        'one step and one update: copying the batch in and the loss out, forward, gradients, running statistics, AdamW',
      setupMs,
      bytes,
      peakGflops: Math.max(opened.peakGflops, await measurePeak(device)),
      time: timer(() => stepper.step()),
      output: () => Promise.resolve(Float32Array.from(losses)),
      profile: () => stepper.profile(),
      measurePeak: () => measurePeak(device),
      dispose: () => stepper.dispose(),
    },
  ];
}

async function tuneTraining(
  { device, tuning }: OpenedDevice,
  test: TrainCase,
  options: TuningOptions,
): Promise<void> {
  const { step } = stepGraph(test.graph, test);
  const problems = untunedProblems(planGraph(step, device.caps, { tuning }), device.caps, tuning);
  for (const [i, problem] of problems.entries()) {
    await tuneProblem(device, problem, tuning, options, ` ${i + 1} of ${problems.length}: ${problem.op}`);
  }
}

/** Learns one batch again and again, as users' training loops would. */
export class TrainStepper {
  readonly #random = new RandomStream(0);
  #steps = 0;

  private constructor(
    readonly network: TrainingNetwork,
    readonly test: TrainCase,
    readonly optimizer: Optimizer,
  ) {}

  static async create(
    device: Device,
    test: TrainCase,
    options: { readonly tuning?: OpenedDevice['tuning']; readonly signal?: AbortSignal },
  ): Promise<TrainStepper> {
    const { weightDecay } = OPTIMIZER;
    const optimizer = createOptimizer({ weightDecay }, () => ({ layer: 0, layers: 1 }));
    const { recompute, inputGradient } = test;
    const network = await createTrainingNetwork(device, test.graph, {
      ...{ optimizer, recompute, inputGradient },
      ...options,
    });
    await network.load(test.weights);
    return new TrainStepper(network, test, optimizer);
  }

  /** One step and one update; the loss before it. */
  async step(): Promise<number> {
    const { loss } = await this.network.step(this.test.input, this.test.targets, this.#random);
    await this.#update();
    return loss;
  }

  /** Times of one step's kernels, and of the update. */
  async profile(): Promise<KernelTime[]> {
    const { session } = this.network;
    const inputs = new Map(
      [...session.plan.inputs].map(([name, { node }]) => {
        const [batch] = node.shape;
        const values: Readonly<Record<string, Float32Array>> = {
          [this.test.graph.input.name]: this.test.input,
          target: this.test.targets,
          'seed.loss': new Float32Array(batch).fill(1 / batch),
        };
        return [name, values[name] ?? new Float32Array()] as const;
      }),
    );
    const times = trainingTimes(session.plan, await session.profile(inputs));
    const begin = performance.now();
    await this.#update();
    const parameters = parameterCount(this.test.graph);
    return [
      ...times,
      {
        kernel: 'optimizer adamw',
        kind: 'optimizer',
        dense: false,
        macs: 0,
        // Gradients are read; values and both moments are read and written.
        bytes: 4 * 7 * parameters,
        milliseconds: performance.now() - begin,
      },
    ];
  }

  async #update(): Promise<void> {
    const update = {
      step: this.#steps++,
      rate: OPTIMIZER.rate,
      gradientScale: 1,
      averageDecay: 0,
    };
    await this.network.session.update((group) => this.optimizer.hyperparameters(group, update));
  }

  dispose(): Promise<void> {
    return this.network.dispose();
  }
}

/** The times of a training program's steps: each layer packs its weights before its kernels run. */
function trainingTimes({ nodes }: Plan, steps: readonly StepTime[]): KernelTime[] {
  let next = 0;
  const take = (count: number): readonly StepTime[] => steps.slice(next, (next += count));
  const total = (some: readonly StepTime[]): number =>
    some.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return nodes.flatMap(({ problem, signature, candidate }) => {
    const { prepare, main } = candidate.emit();
    const packing = take(prepare.length);
    const own = take(main.length);
    const weights = signature.weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    const packed: KernelTime = {
      kernel: packing[0]?.kernel ?? '',
      kind: 'weight packing',
      dense: false,
      macs: 0,
      bytes: 8 * weights,
      milliseconds: total(packing),
    };
    return [
      ...(packing.length > 0 ? [packed] : []),
      {
        kernel: own[0]?.kernel ?? candidate.family,
        kind: trainingKind(problem),
        dense: isDense(problem) || problem.op === 'pointwise-weight-gradient',
        macs: signature.cost.macs,
        bytes: signature.cost.bytes,
        milliseconds: total(own),
      },
    ];
  });
}

function trainingKind(problem: Problem): Kind {
  switch (problem.op) {
    case 'depthwise-weight-gradient':
      return 'depthwise weight gradient';
    case 'pointwise-weight-gradient':
      return 'pointwise weight gradient';
    case 'conv-weight-gradient':
      return 'conv weight gradient';
    case 'pixel-sum':
      return 'sums';
    case 'elementwise':
    case 'activation-gradient':
    case 'sample-scale':
      return 'element-wise';
    case 'batch-statistics':
    case 'batch-normalize':
    case 'batch-norm-sums':
    case 'batch-norm-gradient':
    case 'layer-norm-gradient':
    case 'layer-norm-sums':
      return 'norm';
    default:
      return kindOf(problem);
  }
}
