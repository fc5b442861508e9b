import { expect, test } from 'vitest';

import type { Dataset } from '../../src/data/dataset.ts';
import { oneGroup } from '../../src/data/dataset.ts';
import { firstDifference, matchClasses, withClasses } from '../../src/data/match-classes.ts';

/** One image of each class. */
function datasetOf(...classes: string[]): Dataset {
  const image = { width: 1, height: 1, channels: 3 as const, data: new Uint8Array(3) };
  return {
    name: 'pets',
    classes,
    length: classes.length,
    groups: oneGroup(classes.length),
    labelOf: (index) => index,
    read: (index) => Promise.resolve({ name: String(index), label: index, image }),
    close: () => Promise.resolve(),
  };
}

const imagenet = { network: 'slak-tiny', count: 1000 };
const labelsOf = (dataset: Dataset): number[] =>
  Array.from({ length: dataset.length }, (_, i) => dataset.labelOf(i));

test('folders named by WordNet identifiers are ImageNet classes, also a few of them', async () => {
  const matched = await matchClasses(datasetOf('n02123045', 'n01440764', 'n15075141'), imagenet);
  expect(labelsOf(matched)).toEqual([281, 0, 999]);
  expect(matched.classes).toHaveLength(1000);
  expect(matched.classes[281]).toBe('n02123045 tabby');
  expect(matched.classes[999]).toBe('n15075141 toilet tissue');
  expect((await matched.read(0)).label).toBe(281);
  await expect(matchClasses(datasetOf('n01440764', 'n00000001'), imagenet)).rejects.toThrow(
    'pets has a class that the network does not know: remove n00000001.',
  );
});

test("folders may have ImageNet's names", async () => {
  expect(labelsOf(await matchClasses(datasetOf('Tiger_Cat', 'great white shark'), imagenet))).toEqual([
    282, 2,
  ]);
});

test('as many classes as the network has are taken in order', async () => {
  const dataset = datasetOf('cat', 'dog');
  expect(await matchClasses(dataset, { network: 'net', count: 2 })).toBe(dataset);
});

test('names that are given are looked up', async () => {
  const names = ['fish', 'Dog', 'cat'];
  const matched = await matchClasses(datasetOf('cat', 'dog'), { network: 'net', count: 3, names });
  expect(labelsOf(matched)).toEqual([2, 1]);
  expect(matched.classes).toEqual(names);
  await expect(
    matchClasses(datasetOf('cat', 'cow', 'owl'), { network: 'net', count: 3, names }),
  ).rejects.toThrow('pets has classes that the network does not know: remove cow, owl.');
  await expect(matchClasses(datasetOf('cat'), { network: 'net', count: 2, names })).rejects.toThrow(
    'net has 2 classes, but there are 3 names',
  );
});

test('numbers on either side count as they come, if there are as many', async () => {
  const named = { network: 'net', count: 3, names: ['fish', 'dog', 'cat'] };
  const matched = await matchClasses(datasetOf('0', '1', '2'), named);
  expect(labelsOf(matched)).toEqual([0, 1, 2]);
  expect(matched.classes).toEqual(named.names);
  const numbered = { network: 'net', count: 3, names: ['0', '1', '2'] };
  expect(labelsOf(await matchClasses(datasetOf('cat', 'dog', 'fish'), numbered))).toEqual([0, 1, 2]);
  expect(labelsOf(await matchClasses(datasetOf('0', '1'), numbered))).toEqual([0, 1]);
  await expect(matchClasses(datasetOf('0', '1'), named)).rejects.toThrow(
    'net tells 3 classes apart, but pets has 2 whose names say nothing',
  );
});

test('what cannot be matched is refused with advice', async () => {
  await expect(matchClasses(datasetOf('a', 'b', 'c', 'd'), imagenet)).rejects.toThrow(
    /^slak-tiny tells 1000 classes apart, but pets has 4 whose names .* \(a, b, c and 1 more\): name the network's classes/,
  );
  await expect(matchClasses(datasetOf('a', 'b', 'c'), { network: 'net', count: 2 })).rejects.toThrow(
    '2 classes apart',
  );
});

test('names that stand twice keep their places where the order is the same', () => {
  const names = ['crane', 'maillot', 'crane', 'maillot'];
  expect(labelsOf(withClasses(datasetOf(...names), names))).toEqual([0, 1, 2, 3]);
  expect(labelsOf(withClasses(datasetOf('maillot', 'crane'), names))).toEqual([1, 0]);
});

test('of two lists the first class at another place is told', () => {
  expect(firstDifference(['Cat', 'sea_lion'], ['cat', 'sea lion'])).toBeUndefined();
  expect(firstDifference(['cat', 'dog', 'owl'], ['cat', 'owl', 'dog'])).toBe(1);
  expect(firstDifference(['0', '1'], ['dog', 'cat'])).toBeUndefined();
});

test('numbers for names keep their labels', () => {
  expect(labelsOf(withClasses(datasetOf('0', '1'), ['b', 'a', 'c']))).toEqual([0, 1]);
  expect(withClasses(datasetOf('b', 'a'), ['0', '1']).classes).toEqual(['0', '1']);
});
