import { ahead } from '../core/ahead.ts';
import { concatenate } from '../core/concatenate.ts';
import { invalidArgument } from '../core/errors.ts';
import { checkFloats } from '../core/floats.ts';
import type { Device, RunOptions, StepTime } from '../devices/device.ts';
import type { Graph, Shape } from '../graph/graph.ts';
import { elements, selectOutputs } from '../graph/graph.ts';
import { optimize } from '../graph/passes/index.ts';
import { FEATURES } from '../models/model.ts';
import type { KeySet, ModelVariant } from '../models/model.ts';
import { classify } from './classification.ts';
import type { Classification } from './classification.ts';
import { decodeImage } from './image/image.ts';
import type { DecodeOptions, ImageInput } from './image/image.ts';
import { photoTransform } from './image/presets.ts';
import { applyTransform } from './image/transform.ts';
import type { EvalTransform } from './image/transform.ts';
import { labelsFor } from './labels.ts';
import { draftModel, fitModel } from './fit.ts';
import type { Fitted } from './fit.ts';
import { DEVICE_NAMES, checkDevice, openDevice } from './open.ts';
import type { DeviceName } from './open.ts';
import { checkPrecision, optimizeFor } from './plan.ts';
import type { Plan, Precision } from './plan.ts';
import { createSession } from './session.ts';
import type { Session } from './session.ts';
import type { TuningRecords } from './tuning-file.ts';
import { openWeights } from './weights.ts';
import type { WeightsInput } from './weights.ts';

/** What is going on while a model is made, and how much of it is done. */
export interface ModelProgress {
  /** Weights come from an address, kernels are compiled, weights are packed; in this order. */
  readonly phase: 'download' | 'compile' | 'weights';
  /** Bytes of a download, kernels, or layers. */
  readonly done: number;
  /** At least `done`; for downloads the same where the server does not tell how many bytes there are. */
  readonly total: number;
}

export interface CreateModelOptions {
  /**
   * A checkpoint: a path or URL, its bytes, a Blob, or an opened source; or `synthetic`, a reproducible network
   * that has learned nothing.
   */
  readonly weights: WeightsInput;
  /** A device that the caller owns, or the name of one to open; default `auto`. */
  readonly device?: Device | DeviceName;
  /** Threads of a device that is opened by name; default: all cores that this process may use, at most 8 of them for WebAssembly. */
  readonly threads?: number;
  /** Images that one run computes; default 1. */
  readonly batch?: number;
  /** Height and width of the input in pixels; default: the variant's own. */
  readonly resolution?: number | readonly [height: number, width: number];
  /** Default: as many as the checkpoint has. */
  readonly classes?: number;
  /** Names of the classes; default: ImageNet's where there are 1000. */
  readonly labels?: readonly string[];
  /** Which project's names the checkpoint uses; default: found out from the checkpoint. */
  readonly keys?: KeySet;
  /** Merge parallel branches into one kernel where that is faster; default true. The outputs are the same. */
  readonly deploy?: boolean;
  /** Also compute the four stage outputs, for {@link Model.features}; default false. Networks of your own may have none. */
  readonly features?: boolean;
  /** Default `float32`. */
  readonly precision?: Precision;
  /** Measurements that the planner prefers to its estimates. */
  readonly tuning?: TuningRecords;
  /** Refuse checkpoints with missing or unexpected tensors; default true. Otherwise they are reported as warnings, and missing ones are zero. */
  readonly strict?: boolean;
  /** Which part of a checkpoint with several networks: `model`, `model_ema`, … */
  readonly subtree?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ModelProgress) => void;
  readonly onWarning?: (message: string) => void;
}

export interface ClassifyOptions extends RunOptions, DecodeOptions {
  /** How many classes; default 5. */
  readonly top?: number;
}

/** A map of features, [N, H, W, C] without gaps. */
export interface FeatureMap {
  readonly shape: Shape;
  readonly values: Float32Array;
}

/** A network with its weights on a device. */
export interface Model {
  readonly variant: ModelVariant;
  readonly device: Device;
  /** The network as it runs, after all passes. */
  readonly graph: Graph;
  /** Which kernels compute it. */
  readonly plan: Plan;
  readonly inputShape: Shape;
  readonly classes: number;
  /** How photos are prepared. */
  readonly transform: EvalTransform;
  /** Bytes on the device: packed weights, and the arena of activations, where weights lie unpacked before. */
  readonly bytes: Session['bytes'];
  /** The best classes of an image, most probable first. */
  classify(image: ImageInput, options?: ClassifyOptions): Promise<Classification[]>;
  /** The best classes of each image; they run in batches. */
  classifyAll(images: readonly ImageInput[], options?: ClassifyOptions): Promise<Classification[][]>;
  /**
   * An image as the network wants it: decoded, resized, cropped, normalised; [H, W, 3].
   * Throws what decoding throws.
   */
  prepareImage(image: ImageInput, options?: DecodeOptions): Promise<Float32Array>;
  /** The best classes by the logits of one image, most probable first. */
  rank(logits: Float32Array, top?: number): Promise<Classification[]>;
  /**
   * Logits [N, classes] for an input [N, H, W, 3], normalised; any N: it runs in batches. The input is not to be changed
   * until the promise settles.
   * Throws `invalid-argument` for anything but a Float32Array, and for a length that is not a multiple of one image.
   */
  run(input: Float32Array, options?: RunOptions): Promise<Float32Array>;
  /**
   * The outputs of the four stages, strides 4 to 32 in published networks, for dense tasks. Needs `features: true`; the
   * input as that of {@link run}.
   */
  features(input: Float32Array, options?: RunOptions): Promise<FeatureMap[]>;
  /** Time of each kernel in one run on zeros. */
  profile(options?: RunOptions): Promise<StepTime[]>;
  /** Runs on whatever the input memory holds, without copies; for timing. */
  rerun(options?: RunOptions): Promise<void>;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Loads a network, by name or one of your own: builds its graph, checks that the checkpoint fits, merges and fuses, compiles, and
 * packs the weights.
 *
 *     const model = await createModel('replknet-31b', { weights: 'RepLKNet-31B_ImageNet-1K_224.pth' });
 *     const [best] = await model.classify('cat.jpg');
 *
 * Throws `invalid-argument` for unknown names and for checkpoints that do not fit (and names the variant that
 * does), `io` for files that cannot be read, and what opening and compiling throw.
 */
export async function createModel(model: string | ModelVariant, options: CreateModelOptions): Promise<Model> {
  checkOptions(options);
  const variant = checkRequest(model, options);
  const { weights, device: wanted = 'auto', onWarning } = options;
  const source = await openWeights(weights, options);
  let device: Device | undefined;
  try {
    // What can be refused is refused before there is anything to dispose of.
    const facts = factsOf(fitModel(variant, source, options), options);
    facts.fitted.warnings.forEach((warning) => onWarning?.(warning));
    device = typeof wanted === 'string' ? await openDevice(wanted, deviceOptions(options)) : wanted;
    const { graph, session } = await openSession(device, facts, options);
    return new LoadedModel(facts, device, typeof wanted === 'string', graph, session);
  } catch (error) {
    if (typeof wanted === 'string') await device?.dispose();
    throw error;
  } finally {
    // A source that the caller opened is the caller's to close.
    if (source !== weights) await source?.close();
  }
}

/** Callers without types may forget the weights. */
function checkOptions(options: unknown): void {
  if (typeof options === 'object' && options !== null) return;
  throw invalidArgument(
    "createModel needs weights: give { weights: FILE }, or { weights: 'synthetic' } for a network that has learned nothing.",
  );
}

/** Refuses what no weights make possible before they are fetched, which may take minutes; the network that is meant. */
function checkRequest(
  model: string | ModelVariant,
  { device = 'auto', ...options }: CreateModelOptions,
): ModelVariant {
  const { variant, graph } = draftModel(model, options);
  if (options.features === true && !FEATURES.every((name) => graph.outputs.has(name))) {
    throw invalidArgument(`${variant.name} has no four stages, so it has no features: leave out features.`);
  }
  checkPrecision(options.precision);
  if (typeof device === 'string') checkDevice(device, options);
  else if (!isDevice(device)) {
    throw invalidArgument(`The device must be ${DEVICE_NAMES.join(', ')}, or what openDevice has opened.`);
  }
  return variant;
}

function isDevice(device: unknown): device is Device {
  return typeof device === 'object' && device !== null && 'compile' in device && 'caps' in device;
}

function deviceOptions({ threads, signal }: CreateModelOptions): { threads?: number; signal?: AbortSignal } {
  return { ...(threads !== undefined && { threads }), ...(signal && { signal }) };
}

/** What is known of a model before it is on a device. */
interface ModelFacts {
  readonly fitted: Fitted;
  /** The network as built, with the outputs that are wanted. */
  readonly wanted: Graph;
  readonly classes: number;
  readonly labels: readonly string[] | undefined;
  readonly transform: EvalTransform;
}

function factsOf(fitted: Fitted, { labels: given, features }: CreateModelOptions): ModelFacts {
  const wanted = selectOutputs(fitted.graph, ['logits', ...(features === true ? FEATURES : [])]);
  const classes = wanted.outputs.get('logits')?.shape[3] ?? 0;
  const labels = given ?? fitted.variant.labels;
  if (labels !== undefined && labels.length !== classes) {
    throw invalidArgument(
      `The network has ${classes} classes, but there are ${labels.length} labels: give one for each class.`,
    );
  }
  const [, height, width] = fitted.graph.input.shape;
  const resolution = height === width ? height : ([height, width] as const);
  const transform = photoTransform(fitted.variant, resolution, fitted.keys);
  return { fitted, wanted, classes, labels, transform };
}

/** The network, optimized for the device, with its weights there. */
async function openSession(
  device: Device,
  { fitted, wanted }: ModelFacts,
  options: CreateModelOptions,
): Promise<{ readonly graph: Graph; readonly session: Session }> {
  const { signal, onProgress } = options;
  const graph = optimize(wanted, {
    deploy: options.deploy !== false,
    ...optimizeFor(device.caps, options),
  });
  const session = await createSession(device, graph, fitted.weights, {
    ...(options.tuning && { tuning: options.tuning }),
    ...(options.precision && { precision: options.precision }),
    ...(signal && { signal }),
    ...(onProgress && {
      onProgress: (done, total) => onProgress({ phase: 'compile', done, total }),
      onWeights: (done, total) => onProgress({ phase: 'weights', done, total }),
    }),
  });
  return { graph, session };
}

/** Photos that are decoded beside the one that is waited for: of whole photos there are no more in memory. */
const PHOTOS_AHEAD = 3;

class LoadedModel implements Model {
  readonly variant: ModelVariant;
  readonly device: Device;
  readonly graph: Graph;
  readonly classes: number;
  readonly transform: EvalTransform;
  readonly #session: Session;
  readonly #ownsDevice: boolean;
  readonly #labels: readonly string[] | undefined;

  constructor(
    { fitted, classes, labels, transform }: ModelFacts,
    device: Device,
    ownsDevice: boolean,
    graph: Graph,
    session: Session,
  ) {
    this.variant = fitted.variant;
    this.device = device;
    this.graph = graph;
    this.classes = classes;
    this.transform = transform;
    this.#session = session;
    this.#ownsDevice = ownsDevice;
    this.#labels = labels;
  }

  get plan(): Plan {
    return this.#session.plan;
  }

  get bytes(): Session['bytes'] {
    return this.#session.bytes;
  }

  get inputShape(): Shape {
    return this.#session.inputShape;
  }

  async classify(image: ImageInput, options?: ClassifyOptions): Promise<Classification[]> {
    const [predictions] = await this.classifyAll([image], options);
    return predictions ?? [];
  }

  async classifyAll(
    images: readonly ImageInput[],
    options: ClassifyOptions = {},
  ): Promise<Classification[][]> {
    const [batch] = this.inputShape;
    const results: Classification[][] = [];
    let prepared: Float32Array[] = [];
    const photos = ahead(images, PHOTOS_AHEAD, (image) => this.prepareImage(image, options));
    for await (const { value, error } of photos) {
      if (error !== undefined) throw error;
      prepared.push(value);
      if (prepared.length < batch && results.length + prepared.length < images.length) continue;
      const logits = await this.run(concatenate(prepared), options);
      for (let i = 0; i < prepared.length; i++) {
        const own = logits.subarray(i * this.classes, (i + 1) * this.classes);
        results.push(await this.rank(own, options.top));
      }
      prepared = [];
    }
    return results;
  }

  async rank(logits: Float32Array, top = 5): Promise<Classification[]> {
    return classify(logits, this.#labels ?? (await labelsFor(this.classes)), top);
  }

  async prepareImage(image: ImageInput, options?: DecodeOptions): Promise<Float32Array> {
    return applyTransform(await decodeImage(image, options), this.transform);
  }

  async run(input: Float32Array, options?: RunOptions): Promise<Float32Array> {
    const parts = await this.#batches(input, options);
    return concatenate(parts.map((outputs) => outputs.get('logits') ?? new Float32Array()));
  }

  async features(input: Float32Array, options?: RunOptions): Promise<FeatureMap[]> {
    if (!this.#session.outputShapes.has(FEATURES[0] ?? '')) {
      throw invalidArgument('This model computes no features: create it with `features: true`.');
    }
    const parts = await this.#batches(input, options);
    return FEATURES.map((name) => {
      const values = concatenate(parts.map((outputs) => outputs.get(name) ?? new Float32Array()));
      const [, height = 0, width = 0, channels = 0] = this.#session.outputShapes.get(name) ?? [];
      return { shape: [values.length / (height * width * channels), height, width, channels], values };
    });
  }

  profile(options?: RunOptions): Promise<StepTime[]> {
    return this.#session.profile(new Float32Array(elements(this.inputShape)), options);
  }

  rerun(options?: RunOptions): Promise<void> {
    return this.#session.rerun(options);
  }

  async dispose(): Promise<void> {
    await this.#session.dispose();
    if (this.#ownsDevice) await this.device.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Runs any number of images in batches; the last one is filled up with zeros, whose results are dropped. */
  async #batches(
    input: Float32Array,
    options: RunOptions | undefined,
  ): Promise<ReadonlyMap<string, Float32Array>[]> {
    checkFloats(input, 'The input', 'normalise pixels first, see prepareImage');
    const [batch, height, width, channels] = this.inputShape;
    const image = height * width * channels;
    if (input.length === 0 || input.length % image !== 0) {
      throw invalidArgument(
        `The input must hold whole images of ${height}×${width}×${channels} = ${image} values, got ${input.length}.`,
      );
    }
    const results: ReadonlyMap<string, Float32Array>[] = [];
    for (let first = 0; first < input.length; first += batch * image) {
      const some = input.subarray(first, first + batch * image);
      const count = some.length / image;
      if (count === batch) {
        results.push(await this.#session.run(some, options));
        continue;
      }
      const filled = new Float32Array(batch * image);
      filled.set(some);
      const outputs = await this.#session.run(filled, options);
      results.push(
        new Map(
          [...outputs].map(([name, values]) => [name, values.slice(0, (values.length / batch) * count)]),
        ),
      );
    }
    return results;
  }
}
