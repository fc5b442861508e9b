import { isPixels } from '../../data/dataset.ts';
import type { Dataset } from '../../data/dataset.ts';
import { FASHION_MNIST_CLASSES, FASHION_MNIST_MEAN, FASHION_MNIST_STD } from '../../data/fashion-mnist.ts';
import { chooseSplit, findDataset, heldBackSplit, openDataset } from '../../data/open.ts';
import type { DatasetLocation } from '../../data/open.ts';
import { splitDataset, subsetOf } from '../../data/subset.ts';
import type { PhotoTransform } from '../../models/model.ts';
import type { TrainData } from '../../train/options.ts';
import type { RawConfig, TrainConfig } from './config.ts';
import { isRecord } from './config.ts';

const DEFAULT_SHARE = 0.1;

/** The images of a run, which the caller closes. Throws what opening datasets throws. */
export async function openTrainData(config: TrainConfig, signal: AbortSignal): Promise<TrainData> {
  const { data, validation: held, limit, seed } = config;
  const location = await findDataset(data);
  const split = chooseSplit(location, config.split);
  let training = await openDataset(data, { signal, split });
  try {
    const opened = await openHeldBack(config, location, training, split, signal);
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
  { splits }: DatasetLocation,
  { classes }: Dataset,
  training: string,
  signal: AbortSignal,
): Promise<Dataset | undefined> {
  const isElsewhere = other !== undefined && other !== data;
  const where = isElsewhere ? other : data;
  if (wanted !== undefined) return openDataset(where, { classes, signal, split: wanted });
  if (!isElsewhere && share !== undefined) return undefined;
  const found = heldBackSplit(
    isElsewhere ? (await findDataset(where)).splits : splits.filter((name) => name !== training),
  );
  if (!isElsewhere && found === undefined) return undefined;
  return openDataset(where, { classes, signal, ...(found !== undefined && { split: found }) });
}

/** How many pixels surround an image where nobody says it: a ninth of its side, 4 for CIFAR's 32 as usual. */
export function paddingFor(side: number): number {
  return Math.max(1, Math.round(side / 9));
}

/**
 * What follows from the images where a config does not say it: those that have the network's size are padded and cut
 * rather than resized, and Fashion-MNIST has its own mean and deviation.
 *
 * @param photos how photos were prepared for the weights that a run starts with, which goes on with that
 */
export async function fitToData(
  raw: RawConfig,
  training: Dataset,
  resolution: number,
  photos?: PhotoTransform,
): Promise<RawConfig> {
  const transform = isRecord(raw.transform) ? raw.transform : {};
  const evaluation = isRecord(raw.evaluation) ? raw.evaluation : {};
  // A damaged image says nothing, and is reported later.
  const image = await training.read(0).then(
    (sample) => sample.image,
    () => undefined,
  );
  const fits =
    image !== undefined && isPixels(image) && image.width === resolution && image.height === resolution;
  const isFashion = training.classes.join() === FASHION_MNIST_CLASSES.join();
  const scale = isFashion && {
    mean: [FASHION_MNIST_MEAN, FASHION_MNIST_MEAN, FASHION_MNIST_MEAN],
    std: [FASHION_MNIST_STD, FASHION_MNIST_STD, FASHION_MNIST_STD],
  };
  const learned = photos && { mean: photos.mean, std: photos.std };
  const centre = photos && { resize: photos.resize, interpolation: photos.interpolation };
  return {
    ...raw,
    transform: {
      ...(fits && { crop: { kind: 'pad', padding: paddingFor(resolution) } }),
      ...scale,
      ...learned,
      ...transform,
    },
    evaluation: { crop: fits ? { kind: 'none' } : { kind: 'centre', ...centre }, ...evaluation },
  };
}
