import { isPixels } from '../../data/dataset.ts';
import type { Dataset } from '../../data/dataset.ts';
import { FASHION_MNIST_CLASSES, FASHION_MNIST_MEAN, FASHION_MNIST_STD } from '../../data/fashion-mnist.ts';
import { findDataset, openDataset } from '../../data/open.ts';
import { splitDataset, subsetOf } from '../../data/subset.ts';
import type { TrainData } from '../../train/options.ts';
import type { RawConfig, TrainConfig } from './config.ts';
import { isRecord } from './config.ts';

const HELD_BACK = [/^(val|valid|validation|dev)$/, /^test$/];
const DEFAULT_SHARE = 0.1;

/** The images of a run, which the caller closes. Throws what opening datasets throws. */
export async function openTrainData(config: TrainConfig, signal: AbortSignal): Promise<TrainData> {
  const { data, validation: held, limit, seed } = config;
  const { splits } = await findDataset(data);
  const split = config.split ?? splits.find((name) => name.startsWith('train')) ?? splits[0];
  let training = await openDataset(data, { signal, ...(split !== undefined && { split }) });
  try {
    const opened = await openHeldBack(config, splits, training, split, signal);
    let validation = opened;
    const share = held.share ?? DEFAULT_SHARE;
    if (validation === undefined && share > 0) {
      const count = Math.max(1, Math.round(training.length * share));
      const { first, rest } = splitDataset(training, count, seed);
      // Both are of one dataset, which is closed once.
      const close = (): Promise<void> => Promise.resolve();
      validation = { ...subsetOf(training, first, `${training.name}, ${count} held back`), close };
      training = subsetOf(training, rest, training.name);
    }
    if (limit !== undefined && limit < training.length) {
      const { first } = splitDataset(training, limit, seed);
      training = subsetOf(training, first, `${training.name}, ${limit} of them`);
    }
    return { training, ...(validation && { validation }) };
  } catch (error) {
    await training.close();
    throw error;
  }
}

/** Images that a file or a split holds back; undefined if a share of the training images is to be taken. */
async function openHeldBack(
  { data, validation: { data: other, split: wanted, share } }: TrainConfig,
  splits: readonly string[],
  { classes }: Dataset,
  training: string | undefined,
  signal: AbortSignal,
): Promise<Dataset | undefined> {
  if (other !== undefined)
    return openDataset(other, { classes, signal, ...(wanted !== undefined && { split: wanted }) });
  if (wanted !== undefined) return openDataset(data, { classes, signal, split: wanted });
  if (share !== undefined) return undefined;
  const rest = splits.filter((name) => name !== training);
  const found = HELD_BACK.map((kind) => rest.find((name) => kind.test(name))).find(
    (name) => name !== undefined,
  );
  return found === undefined ? undefined : openDataset(data, { classes, signal, split: found });
}

/**
 * What follows from the images where a config does not say it: those that have the network's size are padded and cut
 * rather than resized, and Fashion-MNIST has its own mean and deviation.
 */
export async function fitToData(raw: RawConfig, training: Dataset, resolution: number): Promise<RawConfig> {
  const transform = isRecord(raw.transform) ? raw.transform : {};
  const evaluation = isRecord(raw.evaluation) ? raw.evaluation : {};
  // A damaged image says nothing, and is reported later.
  const image = await training.read(0).then(
    (sample) => sample.image,
    () => undefined,
  );
  const fits =
    image !== undefined && isPixels(image) && image.width === resolution && image.height === resolution;
  const padding = Math.max(1, Math.round(resolution / 9));
  const isFashion = training.classes.join() === FASHION_MNIST_CLASSES.join();
  const scale = isFashion && {
    mean: [FASHION_MNIST_MEAN, FASHION_MNIST_MEAN, FASHION_MNIST_MEAN],
    std: [FASHION_MNIST_STD, FASHION_MNIST_STD, FASHION_MNIST_STD],
  };
  return {
    ...raw,
    transform: { ...(fits && { crop: { kind: 'pad', padding } }), ...scale, ...transform },
    evaluation: { crop: { kind: fits ? 'none' : 'centre' }, ...evaluation },
  };
}
