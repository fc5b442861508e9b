import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { openCheckpoint } from '../../src/checkpoints/open.ts';
import { modelOf } from '../../src/cli/model-file.ts';
import { slug } from '../../src/cli/save-samples.ts';
import { findFashionMnist, openFashionMnist } from '../../src/data/fashion-mnist.ts';
import { createModel } from '../../src/runtime/model.ts';
import { openDevice } from '../../src/runtime/open.ts';
import { packageFile, packagedModel } from '../../src/runtime/packaged-model.ts';
import { evaluate } from '../../src/train/evaluate.ts';
import { NO_COMPILER, openIfHere } from '../support/devices.ts';

const clothes = packageFile('examples/fashion');

interface Result {
  readonly top1: number;
  readonly parameters: number;
  readonly remaining: number;
}

async function readResult(folder = path.dirname(packagedModel().weights)): Promise<Result> {
  return JSON.parse(await readFile(path.join(folder, 'result.json'), 'utf8')) as Result;
}

const fashionMnist = await findFashionMnist().catch(() => undefined);

test('has at most 3 MB, and as many weights that are not zero as its result says', async () => {
  const { weights } = packagedModel();
  expect((await stat(weights)).size).toBeLessThan(3e6);
  const source = await openCheckpoint(weights);
  try {
    let stored = 0;
    for (const key of source.entries.keys()) {
      if (!/\.(weight|bias|gamma)$/.test(key)) continue;
      stored += (await source.read(key)).reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
    }
    const { remaining } = await readResult();
    expect(stored).toBeLessThan(1.5e6);
    // Some weights that were grown last are zero still; some biases happen to be.
    expect(stored).toBeLessThanOrEqual(remaining);
    expect(stored).toBeGreaterThan(0.95 * remaining);
  } finally {
    await source.close();
  }
});

describe.each(['wasm', 'native'] as const)('on %s', (name) => {
  const open = () => openIfHere(() => openDevice(name));

  test('tells the bundled test images apart', async (context) => {
    await using device = await open();
    if (device === undefined) return context.skip(NO_COMPILER);
    const { model, weights } = packagedModel();
    const network = await createModel(model, { weights, device });
    try {
      const files = (await readdir(clothes)).filter((file) => file.endsWith('.png'));
      const best = await network.classifyAll(
        files.map((file) => path.join(clothes, file)),
        { top: 1 },
      );
      const right = files.filter(
        (file, i) => file.replace(/-\d+\.png$/, '') === slug(best[i]?.[0]?.label ?? ''),
      );
      expect(files).toHaveLength(20);
      expect(right.length).toBeGreaterThanOrEqual(17);
    } finally {
      await network.dispose();
    }
  });

  // Only the first one is in the package, the others are in the repository.
  test.skipIf(fashionMnist === undefined).for(['slak-fashion', 'slak-fashion-mix', 'slak-fashion-mix/first'])(
    '%s has the accuracy that its result says (skipped without the package dataset-fashion-mnist)',
    async (network, context) => {
      await using device = await open();
      if (device === undefined) return context.skip(NO_COMPILER);
      const folder = packageFile(path.join('pretrained', network));
      const model = modelOf(path.join(folder, 'model.json'));
      const source = await openCheckpoint(path.join(folder, 'model.safetensors'));
      const dataset = await openFashionMnist('test');
      try {
        const { mean, std } = model.photos ?? {};
        const looks = { ...(mean && { mean }), ...(std && { std }) };
        const transform = { size: 28, crop: { kind: 'none' }, ...looks } as const;
        const graph = model.build({ batch: 100 });
        const { top1 } = await evaluate(device, graph, source, dataset, { transform });
        // float16 moves a few images over a boundary.
        expect(Math.abs(top1 - (await readResult(folder)).top1)).toBeLessThan(0.001);
      } finally {
        await dataset.close();
        await source.close();
      }
    },
  );
});
