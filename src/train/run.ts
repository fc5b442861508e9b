import path from 'node:path';
import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
import { RandomStream, hashText } from '../core/random.ts';
import type { Batch } from '../data/dataset.ts';
import { countBatches, loadBatches } from '../data/loader.ts';
import { parametersOf } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';
import type { ModelVariant } from '../models/model.ts';
import { differences, openRun, saveRun } from './checkpoint.ts';
import type { Progress, RunRecord } from './checkpoint.ts';
import type { Evaluation } from './evaluate.ts';
import { fingerprint } from './fingerprint.ts';
import { layerOf } from './layer-depth.ts';
import { drawMix, mixImages, targetsOf } from './mix.ts';
import { createTrainingNetwork } from './network.ts';
import { allFinite, nonFiniteKey } from './non-finite.ts';
import type { TrainingNetwork } from './network.ts';
import { createOptimizer } from './optimizer.ts';
import type { Optimizer } from './optimizer.ts';
import type { EpochReport, TrainData, TrainOptions, TrainResult } from './options.ts';
import { checkData, checkIntervals, makeFolder } from './preconditions.ts';
import { scheduleOf } from './schedule.ts';
import type { CompleteSettings } from './settings.ts';
import { SparsityController } from './sparsity/index.ts';
import type { Adaptation } from './sparsity/controller.ts';
import { Sums, correct } from './sums.ts';
import { softTargets } from './teacher.ts';
import { Validator, keptWeights, transformOf } from './validator.ts';

/** The checkpoint that a run can go on from, within its folder. */
export const RUN_FILE = 'run.safetensors';

/** Keep random numbers of a purpose apart from others with the same seed. */
const STEP_STREAM = hashText('step');

/** One run of training, from its first step or from where it stopped to its last. */
export class Run {
  network: TrainingNetwork | undefined;
  readonly #graph: Graph;
  readonly #stepsPerEpoch: number;
  readonly #rateOf: (step: number) => number;
  readonly #optimizer: Optimizer;
  readonly #validator: Validator;
  #sparsity: SparsityController | undefined;
  /** Of the images. */
  #fingerprint = 0;
  /** The last one that was written or read. */
  #checkpoint: string | undefined;
  #progress: Progress = { epoch: 0, batch: 0, step: 0 };
  /** Of the epoch so far. */
  #sums = new Sums();
  /** Whether no update is under way, so that what the network holds is what the progress says. */
  #whole = true;

  constructor(
    readonly model: ModelVariant,
    readonly data: TrainData,
    readonly options: TrainOptions,
    readonly settings: CompleteSettings,
  ) {
    const { batchSize, resolution, accumulate, rate: base, epochs, warmupEpochs } = settings;
    checkData(data);
    checkIntervals(options);
    this.#graph = model.build({ batch: batchSize, resolution, classes: data.training.classes.length });
    const batches = countBatches(data.training.length, { ...this.#sharding(), batchSize, dropLast: true });
    this.#stepsPerEpoch = Math.floor(batches / accumulate);
    if (this.#stepsPerEpoch < 1) {
      throw invalidArgument(
        `${data.training.name} has ${data.training.length} images, too few for one update of ${accumulate} × ${batchSize}: use a smaller batch.`,
      );
    }
    const facts = { base, epochs, stepsPerEpoch: this.#stepsPerEpoch, warmupEpochs };
    this.#rateOf = scheduleOf(facts, settings.schedule);
    this.#optimizer = createOptimizer(settings.optimizer, layerOf(this.#graph));
    this.#validator = new Validator(this.#graph, data, options, settings);
  }

  get #steps(): number {
    return this.#stepsPerEpoch * this.settings.epochs;
  }

  #sharding(): { rank: number; worldSize: number } {
    return { rank: this.options.rank ?? 0, worldSize: this.options.worldSize ?? 1 };
  }

  async go(): Promise<TrainResult> {
    const { options, settings } = this;
    if (options.folder !== undefined) await makeFolder(options.folder);
    const network = await createTrainingNetwork(options.device, this.#graph, {
      optimizer: this.#optimizer,
      dropPath: settings.dropPath,
      // The official RepLKNet gives a block and the feed-forward block behind it one rate.
      branchesPerRate: this.model.family === 'replknet' ? 2 : 1,
      dropout: settings.dropout,
      normMomentum: settings.normMomentum,
      recompute: settings.recompute,
      masked: settings.sparsity !== undefined,
      averaged: settings.averageDecay !== undefined,
      accumulated: settings.accumulate > 1,
      ...(options.signal && { signal: options.signal }),
    });
    this.network = network;
    this.#fingerprint = await fingerprint(this.data, options.signal);
    if (options.resume === undefined) await this.#begin(network);
    else await this.#resume(network, options.resume);

    let validation: Evaluation | undefined;
    try {
      while (this.#progress.epoch < settings.epochs) {
        const report = await this.#epoch(network);
        validation = report.validation;
        options.onEpoch?.(report);
      }
    } catch (error) {
      // Between two updates a run that is told to stop loses nothing.
      if (options.signal?.aborted && this.#whole) await this.#save(network);
      throw error;
    }
    return {
      weights: network.weights(keptWeights(settings)),
      network,
      settings,
      validation,
      dispose: () => network.dispose(),
      [Symbol.asyncDispose]: () => network.dispose(),
    };
  }

  async #begin(network: TrainingNetwork): Promise<void> {
    const { seed, initial, sparsity } = this.settings;
    await network.load(this.options.weights ?? { seed, ...initial });
    if (sparsity === undefined) return;
    this.#sparsity = new SparsityController(sparsity, {
      seed,
      steps: this.#steps,
      rule: this.#optimizer.rule,
    });
    if (this.#sparsity.options.density === 'snip') await this.#takeGradients(network);
    this.#sparsity.initialise(network.session);
  }

  /** The gradients of one batch of each process, of the plain cross-entropy. Running statistics stay as they are. */
  async #takeGradients(network: TrainingNetwork): Promise<void> {
    const { classes } = network;
    const before = [...network.buffers].map(([key, values]) => [key, values.slice()] as const);
    for await (const { images, labels } of this.#batches(0, 0)) {
      await network.step(images, targetsOf(labels, classes, 0, { kind: 'none' }), this.#random(0, 0));
      break;
    }
    for (const [key, values] of before) network.buffers.get(key)?.set(values);
    await this.#reduce(network.session.state('gradients'));
  }

  async #reduce(gradients: Float32Array | undefined): Promise<void> {
    if (gradients) await this.options.reduceGradients?.(gradients);
  }

  async #resume(network: TrainingNetwork, file: string): Promise<void> {
    const saved = await openRun(file);
    try {
      const different = differences(saved.record, this.#record());
      if (different.length > 0) {
        throw invalidArgument(
          `${file} is of another run and cannot be gone on with: it has ${different.join('; ')}.`,
        );
      }
      this.#sparsity = await saved.restore(network);
      this.#progress = saved.record.progress;
      this.#sums = new Sums(this.#progress.sums);
      this.#checkpoint = file;
    } finally {
      await saved.close();
    }
  }

  #record(): RunRecord {
    return {
      format: 'widefield training',
      version: 1,
      model: this.model.name,
      parameters: layoutOf(this.#graph),
      classes: this.data.training.classes,
      images: this.data.training.length,
      data: this.#fingerprint,
      worldSize: this.#sharding().worldSize,
      settings: this.settings,
      progress: { ...this.#progress, sums: this.#sums.toJSON() },
      sparsity: this.#sparsity?.toJSON(),
    };
  }

  #random(epoch: number, batch: number): RandomStream {
    const { rank, worldSize } = this.#sharding();
    return new RandomStream(this.settings.seed ^ STEP_STREAM, epoch, batch * worldSize + rank);
  }

  #batches(epoch: number, start: number): AsyncGenerator<Batch, void, void> {
    const { options, settings } = this;
    const { workers, corruptLimit, onCorrupt } = options;
    // Without the signal: a step is short, and stops where the run is whole.
    return loadBatches(this.data.training, {
      ...this.#sharding(),
      batchSize: settings.batchSize,
      transform: transformOf(settings.transform, settings.resolution),
      shuffle: true,
      dropLast: true,
      seed: settings.seed,
      epoch,
      start,
      reuse: true,
      ...(workers !== undefined && { workers }),
      ...(corruptLimit !== undefined && { corruptLimit }),
      ...(onCorrupt && { onCorrupt }),
    });
  }

  async #epoch(network: TrainingNetwork): Promise<EpochReport> {
    const { settings, options } = this;
    const { epoch, batch: start } = this.#progress;
    let batch = start;
    const begin = performance.now();
    const update = new Sums();
    const last = this.#stepsPerEpoch * settings.accumulate;
    let updateBegin = begin;
    if (start < last) {
      for await (const loaded of this.#batches(epoch, start)) {
        // Not between the batches of an update, whose sum of gradients no checkpoint holds.
        if (this.#whole) throwIfAborted(options.signal);
        this.#whole = false;
        await this.#forwardBackward(network, loaded, batch, update);
        batch++;
        if (batch % settings.accumulate > 0) continue;
        const { gradientNorm, adaptation, rate } = await this.#update(network);
        const means = update.means();
        this.#sums.take(update);
        this.#progress = { epoch, batch, step: this.#progress.step + 1 };
        this.#whole = true;
        const seconds = (performance.now() - updateBegin) / 1000;
        updateBegin = performance.now();
        const { step } = this.#progress;
        options.onStep?.({
          ...{ epoch, step, steps: this.#steps, rate, gradientNorm, seconds, adaptation },
          ...means,
        });
        if (options.saveEvery !== undefined && step % options.saveEvery === 0) await this.#save(network);
        if (batch >= last) break;
      }
    }
    const isLast = epoch + 1 === settings.epochs;
    // All batches are done, but not the epoch: a run that ends here goes on with the evaluation.
    if (options.saveEvery === undefined || isLast) await this.#save(network);
    const seconds = (performance.now() - begin) / 1000;
    const { loss, accuracy } = this.#sums.means();
    const evaluates = (epoch + 1) % (options.evaluateEvery ?? 1) === 0;
    const validation = isLast
      ? await this.#validator.finish(network)
      : evaluates
        ? await this.#validator.validate(network)
        : undefined;
    this.#progress = { ...this.#progress, epoch: epoch + 1, batch: 0 };
    this.#sums = new Sums();
    const density = this.#sparsity?.densities(network.session).overall;
    const { step } = this.#progress;
    return { epoch, epochs: settings.epochs, step, loss, accuracy, seconds, validation, density };
  }

  async #forwardBackward(network: TrainingNetwork, batch: Batch, index: number, sums: Sums): Promise<void> {
    const { settings, options } = this;
    const { images, labels } = batch;
    const random = this.#random(this.#progress.epoch, index);
    const { resolution } = settings;
    const mix = drawMix(settings.mix, resolution, resolution, random);
    mixImages(mix, images, [
      labels.length,
      resolution,
      resolution,
      images.length / (labels.length * resolution ** 2),
    ]);
    const hard = targetsOf(labels, network.classes, settings.smoothing, mix);
    const { teacher } = options;
    const targets = teacher
      ? softTargets(hard, network.classes, await teacher.run(images), settings.distillation)
      : hard;
    const { loss, logits } = await network.step(images, targets, random);
    if (!Number.isFinite(loss)) {
      // Looking for it may take more memory than there is, and then the loss is all that can be told.
      const where = await network.findNonFinite(options.signal).catch(() => undefined);
      throw this.#diverged(`The loss is ${loss} at step ${this.#progress.step + 1}`, where ?? 'the loss');
    }
    if (settings.accumulate > 1) await network.session.accumulate();
    sums.add(loss, correct(logits, hard, network.classes), labels.length);
  }

  async #update(
    network: TrainingNetwork,
  ): Promise<{ readonly gradientNorm?: number; readonly adaptation?: Adaptation; readonly rate: number }> {
    const { settings } = this;
    const { session } = network;
    const { step } = this.#progress;
    const gradients = settings.accumulate > 1 ? 'accumulated' : 'gradients';
    await this.#reduce(session.state(gradients));
    let gradientScale = 1 / settings.accumulate;
    let gradientNorm: number | undefined;
    if (settings.clip !== undefined) {
      gradientNorm = Math.sqrt(await session.squaredNorm()) * gradientScale;
      if (!Number.isFinite(gradientNorm)) {
        const key = nonFiniteKey(session, gradients);
        throw this.#diverged(
          `The norm of all gradients is ${gradientNorm} at step ${step + 1}`,
          key === undefined ? 'their sum of squares' : `the gradient of ${key}`,
        );
      }
      // PyTorch's clip_grad_norm_ adds 1e-6 as well.
      gradientScale *= Math.min(1, settings.clip / (gradientNorm + 1e-6));
    }
    const rate = this.#rateOf(step);
    const averageDecay = settings.averageDecay ?? 0;
    await session.update((group) =>
      this.#optimizer.hyperparameters(group, { step, rate, gradientScale, averageDecay }),
    );
    if (settings.averageDecay !== undefined) network.averageBuffers(averageDecay);
    const adaptation = this.#sparsity?.afterStep(step + 1, session);
    return { rate, ...(gradientNorm !== undefined && { gradientNorm }), ...(adaptation && { adaptation }) };
  }

  async #save(network: TrainingNetwork): Promise<void> {
    const { folder, onCheckpoint } = this.options;
    if (folder === undefined) return;
    // The loss of the next step would tell, but by then the last good checkpoint would be gone.
    const buffers = [...network.buffers, ...network.averagedBuffers];
    const [bad] = buffers.find(([, values]) => !allFinite(values)) ?? [
      nonFiniteKey(network.session, 'values'),
    ];
    if (bad !== undefined) {
      throw this.#diverged(`Weights are not finite after step ${this.#progress.step}`, bad);
    }
    const file = path.join(folder, RUN_FILE);
    await saveRun(file, network, this.#record(), this.#sparsity);
    this.#checkpoint = file;
    onCheckpoint?.(file);
  }

  #diverged(what: string, where: string): WidefieldError {
    const kept = this.#checkpoint === undefined ? '' : `; ${this.#checkpoint} is the last good checkpoint`;
    return new WidefieldError(
      'diverged',
      `${what}; the first number that is not finite is in ${where}. Use a lower learning rate, a longer warm-up or clipping${kept}.`,
    );
  }
}

/** Tells networks of one name apart: a number that follows from all names and shapes of parameters. */
function layoutOf(graph: Graph): number {
  const keys = parametersOf(graph).map(({ key, shape }) => `${key} ${shape.join('×')}`);
  return hashText(keys.join('\n'));
}
