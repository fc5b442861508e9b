import { expect, test } from 'vitest';

import { classReports, confusions, worstClasses } from '../../src/train/class-report.ts';

const names = ['cat', 'dog', 'owl', 'cow'];
// Rows are labels; no image shows an owl.
const confusion = Uint32Array.from(
  [
    [8, 1, 1, 0],
    [2, 5, 3, 0],
    [0, 0, 0, 0],
    [0, 0, 0, 4],
  ].flat(),
);

test('each class that has images, and what it is mistaken for', () => {
  expect(classReports({ confusion }, names)).toEqual([
    { index: 0, name: 'cat', images: 10, correct: 8, accuracy: 0.8, mistakenFor: { name: 'dog', images: 1 } },
    { index: 1, name: 'dog', images: 10, correct: 5, accuracy: 0.5, mistakenFor: { name: 'owl', images: 3 } },
    { index: 3, name: 'cow', images: 4, correct: 4, accuracy: 1, mistakenFor: undefined },
  ]);
  const reports = classReports({ confusion }, names);
  expect(worstClasses(reports, 2).map(({ name }) => name)).toEqual(['dog', 'cat']);
});

test('only cells that are not zero', () => {
  expect(confusions({ confusion })).toHaveLength(7);
  expect(confusions({ confusion })[3]).toEqual({ label: 1, predicted: 0, images: 2 });
});
