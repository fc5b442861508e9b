import { expect, test } from 'vitest';

import { widefield } from '../support/command-line.ts';

test('classifies the bundled photos with a network that is named, says what weights mean, and compares times', async () => {
  const { out, code } = await widefield('demo', '--model', 'mobilenet-v2', '--resolution', '64');
  expect(code).toBe(0);
  for (const photo of ['astronaut.jpg', 'chelsea.jpg', 'coffee.jpg']) expect(out).toContain(photo);
  expect(out).toContain('The weights are synthetic');
  expect(out).toMatch(/widefield-(native|wasm) +[\d.]+ ms/);
});

test('classifies the bundled test images with the packaged network, then times a large one', async () => {
  const { out, code } = await widefield('demo', '--resolution', '64');
  expect(code).toBe(0);
  expect(out).toMatch(/trouser-2 +Trouser/);
  expect(out).toMatch(/\d+ of 20 right/);
  expect(out).toMatch(/widefield-(native|wasm) +[\d.]+ ms/);
  expect(out).toMatch(/ npx widefield classify \S+ --model replknet-31b --weights RepLKNet-31B_\S+\.pth\n$/);
});

test('weights without a network are wrong usage', async () => {
  for (const command of [['demo'], ['classify', 'photo.jpg']]) {
    const { err, code } = await widefield(...command, '--weights', 'synthetic');
    expect(code).toBe(2);
    expect(err).toMatch(/^Name the network of these weights with --model\.\n$/);
  }
  for (const option of [
    ['--keys', 'timm'],
    ['--subtree', 'model_ema'],
  ]) {
    expect(await widefield('demo', ...option)).toMatchObject({ code: 2, out: '' });
  }
});

test('an unknown network is wrong usage, and the nearest name is suggested', async () => {
  const { err, code } = await widefield('demo', '--model', 'mobilnet-v2');
  expect(code).toBe(2);
  expect(err).toContain('mobilenet-v2');
});
