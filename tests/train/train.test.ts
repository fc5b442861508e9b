import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { oneGroup } from '../../src/data/dataset.ts';
import type { Dataset } from '../../src/data/dataset.ts';
import type { Device } from '../../src/devices/device.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { slak } from '../../src/models/slak.ts';
import { openRun } from '../../src/train/checkpoint.ts';
import type { StepReport, TrainOptions, TrainResult } from '../../src/train/options.ts';
import { train } from '../../src/train/train.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const SIZE = 8;
const IMAGES = 16;
const at = temporaryFolder();
const model = slak({
  name: 'tiny',
  resolution: SIZE,
  stem: 4,
  depths: [1],
  channels: [8],
  widthFactor: 1,
  kernels: [3],
});

/** Dark and bright images by turns. */
const training: Dataset = {
  name: 'brightness',
  classes: ['dark', 'bright'],
  length: IMAGES,
  groups: oneGroup(IMAGES),
  labelOf: (index) => index % 2,
  read: (index) => {
    const data = new Uint8Array(SIZE * SIZE * 3).fill(100 * (index % 2) + 5 * index);
    const image = { width: SIZE, height: SIZE, channels: 3 as const, data };
    return Promise.resolve({ name: String(index), label: index % 2, image });
  },
  close: () => Promise.resolve(),
};

let device: Device;
const results: TrainResult[] = [];
beforeAll(async () => {
  device = await openWasmDevice({ threads: 1 });
});
afterAll(async () => {
  for (const result of results) await result.dispose();
  await device.dispose();
});

async function run(options: Partial<TrainOptions>): Promise<TrainResult> {
  const result = await train(
    model,
    { training },
    {
      ...{ device, epochs: 2, batchSize: 4, rate: 0.01, smoothing: 0 },
      transform: { crop: { kind: 'none' }, flip: 0 },
      ...options,
    },
  );
  results.push(result);
  return result;
}

describe('an update that fails after the signal has fired', () => {
  it('leaves the checkpoint of the update before, not its own beginning', async () => {
    const stop = new AbortController();
    let updates = 0;
    const reduceGradients = (): Promise<void> => {
      if (++updates < 3) return Promise.resolve();
      stop.abort();
      return Promise.reject(new Error('The other process is gone.'));
    };
    const folder = at('reduced');
    await expect(run({ folder, saveEvery: 1, signal: stop.signal, reduceGradients })).rejects.toThrow(
      'The other process is gone.',
    );
    const saved = await openRun(at('reduced', 'run.safetensors'));
    expect(saved.record.progress).toMatchObject({ epoch: 0, batch: 2, step: 2 });
    await saved.close();
  });

  it('leaves no checkpoint of a step that came to NaN', async () => {
    const stop = new AbortController();
    let steps = 0;
    const teacher = {
      run: (images: Float32Array): Promise<Float32Array> => {
        const isLast = ++steps === 2;
        if (isLast) stop.abort();
        return Promise.resolve(
          new Float32Array((images.length / (SIZE * SIZE * 3)) * 2).fill(isLast ? NaN : 1),
        );
      },
    };
    const saves: string[] = [];
    const onCheckpoint = (file: string): void => {
      saves.push(file);
    };
    await expect(
      run({ folder: at('nan'), saveEvery: 1, signal: stop.signal, teacher, onCheckpoint }),
    ).rejects.toMatchObject({ code: 'diverged' });
    expect(saves).toHaveLength(1);
  });
});

it('accuracy in training is that of the labels, whatever a teacher says', async () => {
  const accuracies = async (options: Partial<TrainOptions>): Promise<number[]> => {
    const found: number[] = [];
    const onStep = ({ accuracy }: StepReport): void => {
      found.push(accuracy);
    };
    // Without learning, so that the teacher changes nothing but the targets.
    await run({ rate: 0, schedule: { kind: 'constant' }, epochs: 1, onStep, ...options });
    return found;
  };
  const alone = await accuracies({});
  const always = (label: number): Promise<number[]> =>
    accuracies({
      distillation: { share: 1 },
      teacher: {
        run: (images) => {
          const logits = new Float32Array((images.length / (SIZE * SIZE * 3)) * 2);
          return Promise.resolve(logits.map((_, i) => (i % 2 === label ? 9 : 0)));
        },
      },
    });
  expect(await always(0)).toEqual(alone);
  expect(await always(1)).toEqual(alone);
});

describe('gradients that are clipped', () => {
  it.each([
    [NaN, /norm of all gradients is NaN at step 1; .* is in the gradient of \w+[\w.]+\. /],
    [1e30, /norm of all gradients is Infinity at step 1; .* is in their sum of squares/],
  ])('of which one is %s end the run before they change a weight', async (bad, message) => {
    const reduceGradients = (gradients: Float32Array): Promise<void> => {
      gradients[0] = bad;
      return Promise.resolve();
    };
    await expect(run({ clip: 1, reduceGradients })).rejects.toMatchObject({
      code: 'diverged',
      message: expect.stringMatching(message) as string,
    });
  });
});

it('processes that share their gradients have the same network, the first masks of SNIP included', async () => {
  const waiting: { readonly gradients: Float32Array; readonly go: () => void }[] = [];
  const reduceGradients = (gradients: Float32Array): Promise<void> =>
    new Promise((go) => {
      waiting.push({ gradients, go });
      const [one, two] = waiting;
      if (one === undefined || two === undefined) return;
      waiting.length = 0;
      one.gradients.forEach((value, i) => {
        one.gradients[i] = two.gradients[i] = (value + (two.gradients[i] ?? 0)) / 2;
      });
      one.go();
      two.go();
    });
  const sparsity = { sparsity: 0.5, every: 1, growth: 'gradient' } as const;
  const [first, second] = await Promise.all(
    [0, 1].map((rank) => run({ rank, worldSize: 2, accumulate: 2, sparsity, reduceGradients })),
  );
  for (const state of ['mask', 'values'] as const) {
    expect(first?.network.session.state(state)).toEqual(second?.network.session.state(state));
  }
});

it('await using disposes of the network that a run made', async () => {
  const made = await run({ epochs: 1 });
  {
    await using result = made;
    expect(await result.weights.read('head.weight')).not.toHaveLength(0);
  }
  expect(() => made.network.session.state('values')).toThrow(/disposed/);
});

it('a run goes on only with its own images, and as many processes', async () => {
  const folder = at('own');
  await run({ folder });
  const resume = at('own', 'run.safetensors');
  await run({ folder, resume });
  await expect(run({ folder, resume, worldSize: 2 })).rejects.toThrow('it has worldSize 1, not 2.');
  const darker: Dataset = {
    ...training,
    read: async (index) => {
      const sample = await training.read(index);
      return index < 8 ? sample : training.read(index - 8);
    },
  };
  const settings = { ...{ device, epochs: 2, batchSize: 4, rate: 0.01, smoothing: 0 }, folder, resume };
  const transform = { crop: { kind: 'none' }, flip: 0 } as const;
  await expect(train(model, { training: darker }, { ...settings, transform })).rejects.toThrow(
    'it has other images, or in another order.',
  );
});

it('damaged validation images are told once', async () => {
  const validation: Dataset = {
    ...training,
    read: (index) => (index === 5 ? Promise.reject(new Error('Sample 5 is damaged.')) : training.read(index)),
  };
  const damaged: number[] = [];
  const transform = { crop: { kind: 'none' }, flip: 0 } as const;
  const result = await train(
    model,
    { training, validation },
    {
      ...{ device, epochs: 2, batchSize: 4, rate: 0.01, transform },
      evaluation: { crop: { kind: 'none' } },
      onCorrupt: ({ index }) => damaged.push(index),
    },
  );
  results.push(result);
  expect(damaged).toEqual([5]);
  expect(result.validation?.images).toBe(IMAGES - 1);
});

it.each([{ saveEvery: 0 }, { evaluateEvery: 0.5 }])('intervals such as %j are refused', async (options) => {
  await expect(run(options)).rejects.toThrow(/Every must be a whole number from 1 on, got 0/);
});
