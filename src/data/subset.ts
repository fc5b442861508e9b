import { closable } from '../core/closable.ts';
import { invalidArgument } from '../core/errors.ts';
import { RandomStream, hashText } from '../core/random.ts';
import type { Dataset, SampleGroup } from './dataset.ts';

/** Keeps the choice apart from other random numbers with the same seed. */
const STREAM = hashText('split');

/** Some samples of a dataset, in its order. It is open as long as the dataset is. */
export function subsetOf(
  dataset: Dataset,
  indices: Iterable<number>,
  name: string,
): Dataset & AsyncDisposable {
  const chosen = Uint32Array.from(indices).sort();
  const at = (index: number): number => chosen[index] ?? 0;
  return closable<Dataset>({
    name,
    classes: dataset.classes,
    length: chosen.length,
    groups: groupsOf(dataset.groups, chosen),
    ...(dataset.strays && { strays: dataset.strays }),
    labelOf: (index) => dataset.labelOf(at(index)),
    read: (index, options) => dataset.read(at(index), options),
    close: () => dataset.close(),
  });
}

/** A random part of a dataset, which follows from the seed: the first `count` of an order, and the rest. */
export function splitDataset(
  dataset: Dataset,
  count: number,
  seed: number,
): { readonly first: readonly number[]; readonly rest: readonly number[] } {
  if (count < 1 || count >= dataset.length) {
    throw invalidArgument(
      `${dataset.name} has ${dataset.length} images, of which ${count} cannot be taken: choose another share.`,
    );
  }
  const order = Uint32Array.from({ length: dataset.length }, (_, i) => i);
  new RandomStream(seed ^ STREAM).shuffle(order, 0, order.length);
  return { first: [...order.subarray(0, count)], rest: [...order.subarray(count)] };
}

/** What is left of each group, numbered anew. */
function groupsOf(groups: readonly SampleGroup[], chosen: Uint32Array): readonly SampleGroup[] {
  const result: SampleGroup[] = [];
  let next = 0;
  for (const { start, length } of groups) {
    const first = next;
    while (next < chosen.length && (chosen[next] ?? 0) < start + length) next++;
    if (next > first) result.push({ start: first, length: next - first });
  }
  return result;
}
