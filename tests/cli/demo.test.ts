import { expect, test } from 'vitest';

import { widefield } from '../support/command-line.ts';

test('classifies the bundled photos, says what weights mean, and compares times', async () => {
  const { out, code } = await widefield('demo', '--model', 'mobilenet-v2', '--resolution', '64');
  expect(code).toBe(0);
  for (const photo of ['astronaut.jpg', 'chelsea.jpg', 'coffee.jpg']) expect(out).toContain(photo);
  expect(out).toContain('The weights are synthetic');
  expect(out).toMatch(/widefield-(native|wasm) +[\d.]+ ms/);
});

test('an unknown network is wrong usage, and the nearest name is suggested', async () => {
  const { err, code } = await widefield('demo', '--model', 'mobilnet-v2');
  expect(code).toBe(2);
  expect(err).toContain('mobilenet-v2');
});
