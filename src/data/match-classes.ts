import { closable } from '../core/closable.ts';
import { invalidArgument } from '../core/errors.ts';
import { labelsFor } from '../runtime/labels.ts';
import { imagenetSynsets } from '../runtime/imagenet-synsets.ts';
import type { Dataset } from './dataset.ts';
import { listNames } from './image-folder.ts';

/** A network's outputs. */
export interface NetworkClasses {
  /** The network's name, for messages. */
  readonly network: string;
  readonly count: number;
  /** What they are called, if anybody says so: one name for each. */
  readonly names?: readonly string[];
}

/** ImageNet's folders are called so. */
const SYNSET = /^n\d{8}$/;
const IMAGENET_CLASSES = 1000;

/**
 * The dataset with labels that count the outputs of a network. Classes are matched by name: with the names that are given,
 * else, for networks of ImageNet's 1000 classes, with its WordNet identifiers or names. Where either has only numbers for
 * names, or the network's are not known, classes count as they come, if there are as many as the network has.
 *
 * The result's `classes` are all the network's. Throws `invalid-argument` if classes do not match.
 */
export async function matchClasses(dataset: Dataset, network: NetworkClasses): Promise<Dataset> {
  const { count, names } = network;
  if (names !== undefined && names.length !== count) {
    throw invalidArgument(
      `${network.network} has ${count} classes, but there are ${names.length} names: give one for each class.`,
    );
  }
  const own = dataset.classes;
  if (names !== undefined) {
    if (isNumbered(own) === isNumbered(names)) {
      return relabel(dataset, indicesOf(own, names, dataset.name, 'the network'), names);
    }
    if (own.length === count) return relabel(dataset, [...own.keys()], names);
  }
  if (count === IMAGENET_CLASSES && own.every((name) => SYNSET.test(name))) {
    const synsets = imagenetSynsets();
    const called = await labelsFor(count);
    return relabel(
      dataset,
      indicesOf(own, synsets, dataset.name, 'the network'),
      synsets.map((synset, i) => `${synset} ${called[i] ?? ''}`),
    );
  }
  if (own.length === count) return dataset;
  if (count === IMAGENET_CLASSES) {
    const called = await labelsFor(count);
    const places = placesOf(called);
    if (own.every((name) => places.has(normalised(name)))) {
      return relabel(dataset, indicesOf(own, called, dataset.name, 'the network'), called);
    }
  }
  throw invalidArgument(
    `${network.network} tells ${count} classes apart, but ${dataset.name} has ${own.length} whose names say nothing about which of these they are (${listNames(own, 3)}): name the network's classes with labels, in order.`,
  );
}

/**
 * The dataset with labels that count other classes, such as those of the training set: by name, or as they come where either
 * has only numbers for names. Throws `invalid-argument` for classes that are not among them.
 */
export function withClasses(dataset: Dataset, classes: readonly string[]): Dataset & AsyncDisposable {
  const own = dataset.classes;
  if (!isNumbered(own) && !isNumbered(classes))
    return relabel(dataset, indicesOf(own, classes, dataset.name, 'the training set'), classes);
  if (own.length > classes.length) {
    throw invalidArgument(
      `${dataset.name} has ${own.length} classes, more than the ${classes.length} that are known: give a set with the same ones.`,
    );
  }
  return relabel(dataset, [...own.keys()], classes);
}

/**
 * The first place where two lists of equally many classes differ; undefined if they agree, or if either has only numbers for
 * names.
 */
export function firstDifference(a: readonly string[], b: readonly string[]): number | undefined {
  if (isNumbered(a) || isNumbered(b)) return undefined;
  const place = a.findIndex((name, i) => normalised(name) !== normalised(b[i] ?? ''));
  return place < 0 ? undefined : place;
}

/** Whether classes are called 0, 1, 2 …, as sets without names call them. */
function isNumbered(classes: readonly string[]): boolean {
  return classes.every((name, i) => name === String(i));
}

/** The place of each class among the names that somebody knows. */
function indicesOf(
  own: readonly string[],
  names: readonly string[],
  dataset: string,
  knower: string,
): readonly number[] {
  const places = placesOf(names);
  const missing = own.filter((name) => !places.has(normalised(name)));
  if (missing.length > 0) {
    const more = missing.length > 1;
    throw invalidArgument(
      `${dataset} has ${more ? 'classes' : 'a class'} that ${knower} does not know: remove ${listNames(missing)}.`,
    );
  }
  return own.map((name, i) => {
    const key = normalised(name);
    // Names that stand twice are told apart by their places, where both lists agree.
    return normalised(names[i] ?? '') === key ? i : (places.get(key) ?? 0);
  });
}

/** Where each name stands; those that stand twice, such as ImageNet's two sorts of crane, mean the first. */
function placesOf(names: readonly string[]): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  names.forEach((name, i) => {
    const key = normalised(name);
    if (!places.has(key)) places.set(key, i);
  });
  return places;
}

/** Folders may say `great_white_shark`. */
function normalised(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_]+/g, ' ');
}

function relabel(
  dataset: Dataset,
  indices: readonly number[],
  classes: readonly string[],
): Dataset & AsyncDisposable {
  const labelOf = (index: number): number => indices[dataset.labelOf(index)] ?? 0;
  return closable<Dataset>({
    name: dataset.name,
    classes,
    length: dataset.length,
    groups: dataset.groups,
    ...(dataset.strays && { strays: dataset.strays }),
    labelOf,
    read: async (index, options) => ({ ...(await dataset.read(index, options)), label: labelOf(index) }),
    close: () => dataset.close(),
  });
}
