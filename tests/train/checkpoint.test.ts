import { readFile, writeFile } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openFileSink } from '../../src/checkpoints/file-sink.ts';
import { writeSafetensors } from '../../src/checkpoints/safetensors-writer.ts';
import type { Device } from '../../src/devices/device.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { slak } from '../../src/models/slak.ts';
import { differences, openRun, saveRun } from '../../src/train/checkpoint.ts';
import type { RunRecord } from '../../src/train/checkpoint.ts';
import { createTrainingNetwork } from '../../src/train/network.ts';
import type { TrainingNetwork } from '../../src/train/network.ts';
import { createOptimizer } from '../../src/train/optimizer.ts';
import { completeSettings } from '../../src/train/settings.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

const sizes = { resolution: 8, stem: 4, depths: [1], widthFactor: 1, kernels: [3] };
const record: RunRecord = {
  ...{ format: 'widefield training', version: 1, model: 'tiny', parameters: 17, images: 100 },
  classes: ['a', 'b'],
  settings: completeSettings({ epochs: 3 }, 8),
  progress: { epoch: 1, batch: 2, step: 12 },
  sparsity: undefined,
};

let device: Device;
const networks: TrainingNetwork[] = [];
beforeAll(async () => {
  device = await openWasmDevice({ threads: 1 });
});
afterAll(async () => {
  for (const network of networks) await network.dispose();
  await device.dispose();
});

async function networkOf(channels: number, seed: number): Promise<TrainingNetwork> {
  const graph = slak({ ...sizes, name: 'tiny', channels: [channels] }).build({ batch: 2, classes: 2 });
  const optimizer = createOptimizer({}, () => ({ layer: 0, layers: 1 }));
  const network = await createTrainingNetwork(device, graph, { optimizer, averaged: true });
  networks.push(network);
  await network.load({ seed });
  return network;
}

it('await using disposes of a training network', async () => {
  const made = await networkOf(8, 1);
  {
    await using network = made;
    expect(network.session.state('average')).toBeDefined();
  }
  expect(() => made.session.state('average')).toThrow(/disposed/);
});

describe('a checkpoint', () => {
  it('gives values, moments, averages, statistics and progress back', async () => {
    const network = await networkOf(8, 1);
    network.session.state('moment1')?.fill(0.25);
    network.session.state('average')?.fill(0.5);
    network.buffers.get('stages.0.0.large_kernel.LoRA1.bn.running_mean')?.fill(3);
    await saveRun(at('run.safetensors'), network, record, undefined);
    const saved = await openRun(at('run.safetensors'));
    expect(saved.record).toEqual(JSON.parse(JSON.stringify(record)));
    const other = await networkOf(8, 2);
    expect(other.session.stateOf('values', 'head.weight')).not.toEqual(
      network.session.stateOf('values', 'head.weight'),
    );
    await saved.restore(other);
    await saved.close();
    for (const state of ['values', 'moment1', 'moment2', 'average'] as const) {
      for (const { key, buffer } of network.parameters) {
        if (buffer) expect(other.buffers.get(key), key).toEqual(network.buffers.get(key));
        else expect(other.session.stateOf(state, key), key).toEqual(network.session.stateOf(state, key));
      }
    }
  });

  it('of another network is refused', async () => {
    const saved = await openRun(at('run.safetensors'));
    await expect(saved.restore(await networkOf(16, 1))).rejects.toThrow(/but the network has/);
    await saved.close();
  });

  it.each([
    [{ settings: null }, /settings/],
    [{ settings: { epochs: 'many' } }, /settings\.epochs/],
    [{ progress: { epoch: 0, batch: 0, step: -1 } }, /progress\.step/],
    [{ progress: { ...record.progress, sums: { loss: 1 } } }, /progress\.sums\.correct/],
    [{ sparsity: {} }, /sparsity\.options/],
    [{ classes: 'ab' }, /classes/],
    [[], /must be an object/],
  ])('with the record %j is refused', async (wrong, message) => {
    const text = JSON.stringify(Array.isArray(wrong) ? wrong : { ...record, ...wrong });
    const bytes = new TextEncoder().encode(text);
    const file = at('hostile.safetensors');
    await writeSafetensors(
      [{ key: 'widefield.run', shape: [bytes.byteLength], dtype: 'uint8' }],
      () => Promise.resolve(bytes),
      await openFileSink(file),
    );
    await expect(openRun(file)).rejects.toThrow(/no checkpoint of a training run: /);
    await expect(openRun(file)).rejects.toThrow(message);
  });

  it('may say of what is absent that it is null', async () => {
    const wrong = { ...record, sparsity: null, progress: { ...record.progress, sums: null } };
    const bytes = new TextEncoder().encode(JSON.stringify(wrong));
    await writeSafetensors(
      [{ key: 'widefield.run', shape: [bytes.byteLength], dtype: 'uint8' }],
      () => Promise.resolve(bytes),
      await openFileSink(at('null.safetensors')),
    );
    const saved = await openRun(at('null.safetensors'));
    expect(saved.record.sparsity).toBeUndefined();
    expect(saved.record.progress.sums).toBeUndefined();
    await saved.close();
  });

  it('that is none, or not whole, is refused', async () => {
    await writeSafetensors(
      [{ key: 'x', shape: [1] }],
      () => Promise.resolve(Float32Array.of(1)),
      await openFileSink(at('weights.safetensors')),
    );
    await expect(openRun(at('weights.safetensors'))).rejects.toThrow(/no checkpoint of a training run/);
    const bytes = await readFile(at('run.safetensors'));
    await writeFile(at('half.safetensors'), bytes.subarray(0, bytes.byteLength / 2));
    await expect(openRun(at('half.safetensors'))).rejects.toThrow(/half\.safetensors/);
    await expect(openRun(at('missing.safetensors'))).rejects.toThrow(/missing\.safetensors/);
  });
});

it('images and processes are compared where the file says something of them', () => {
  const now = { ...record, data: 7, worldSize: 2 };
  expect(differences(record, now)).toEqual([]);
  expect(differences({ ...now, data: 8, worldSize: 1 }, now)).toEqual([
    'other images, or in another order',
    'worldSize 1, not 2',
  ]);
});

it('what two runs do not have in common is listed', () => {
  expect(differences(record, record)).toEqual([]);
  expect(
    differences(record, {
      ...record,
      parameters: 18,
      classes: ['b', 'a'],
      images: 90,
      settings: completeSettings({ epochs: 4, clip: 1 }, 8),
    }),
  ).toEqual([
    'another network of the name tiny',
    '100 training images, not 90',
    '2 classes, not the same 2',
    'epochs 3, not 4',
    'clip none, not 1',
  ]);
});
