import { expect, test } from 'vitest';

import { formatNumber, formatTable } from '../../src/cli/table.ts';

test('columns are as wide as their widest cell, numbers to the right', () => {
  const text = formatTable(
    [{ title: 'engine' }, { title: 'ms', align: 'right' }],
    [['a', '1.5'], ['longer name', '12'], ['missing cell']],
  );
  expect(text.split('\n')).toEqual([
    'engine         ms',
    'a             1.5',
    'longer name    12',
    'missing cell',
  ]);
});

test('tables may be very long', () => {
  const lines = formatTable(
    [{ title: 'n' }],
    Array.from({ length: 200_000 }, (_, i) => [String(i)]),
  ).split('\n');
  expect(lines).toHaveLength(200_001);
});

test('numbers have three significant digits and no exponent', () => {
  expect([0.01234, 0.1, 1, 7.684, 76.5, 112.4, 2281.5, 0].map(formatNumber)).toEqual([
    '0.0123',
    '0.100',
    '1.00',
    '7.68',
    '76.5',
    '112',
    '2282',
    '0',
  ]);
  expect(formatNumber(NaN)).toBe('NaN');
});
