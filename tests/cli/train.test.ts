import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { beforeAll, describe, expect, it } from 'vitest';

import { openFileSink } from '../../src/checkpoints/file-sink.ts';
import { openCheckpoint } from '../../src/checkpoints/open.ts';
import { writeSafetensors } from '../../src/checkpoints/safetensors-writer.ts';
import { readConfig } from '../../src/cli/train/config.ts';
import { openTrainData } from '../../src/cli/train/data.ts';
import { whileLocked } from '../../src/cli/train/lock.ts';
import { closeData } from '../../src/cli/train/prepare.ts';
import { Random } from '../../src/core/random.ts';
import { readLog } from '../../src/train/log.ts';
import { widefield } from '../support/command-line.ts';
import { encodedImage, idxFile, tarFile } from '../support/dataset-files.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const SIDE = 16;
const [TRAINING, HELD] = [48, 20];
/** Bright above or below: a convolution's easiest task. */
const CLASSES = 2;

const at = temporaryFolder();

beforeAll(async () => {
  for (const [name, count] of [
    ['train', TRAINING],
    ['t10k', HELD],
  ] as const) {
    const random = new Random(name);
    const pixels = Uint8Array.from({ length: count * SIDE * SIDE }, (_, i) => {
      const label = Math.floor(i / SIDE ** 2) % CLASSES;
      const isBright = Math.floor((i % SIDE ** 2) / (SIDE ** 2 / 2)) === label;
      return (isBright ? 190 : 60) + 50 * random.signed(i);
    });
    const labels = Uint8Array.from({ length: count }, (_, i) => i % CLASSES);
    await writeFile(at(`${name}-images-idx3-ubyte`), idxFile([count, SIDE, SIDE], pixels));
    await writeFile(at(`${name}-labels-idx1-ubyte`), idxFile([count], labels));
  }
  await writeFile(at('run.json'), JSON.stringify(config()));
});

/** A run of seconds that has everything a checkpoint must hold: averages, masks that change, batch norms. */
function config(): Record<string, unknown> {
  return {
    model: {
      family: 'slak',
      name: 'tiny',
      resolution: SIDE,
      stem: 4,
      depths: [1, 1],
      channels: [8, 8],
      widthFactor: 1,
      kernels: [7, 5],
      smallKernel: 3,
    },
    data: at(),
    ...{ epochs: 2, batchSize: 8, rate: 4e-3, averageDecay: 0.9, clip: 1, dropPath: 0.1, smoothing: 0.1 },
    mix: { mixup: 0.2, cutmix: 1 },
    initial: { layerScale: 0.1 },
    sparsity: { sparsity: 0.4, every: 2, growth: 'gradient' },
    transform: { flip: 0 },
    ...{ device: 'wasm', threads: 1, workers: 0, logEvery: 1 },
  };
}

function train(folder: string, ...args: string[]): ReturnType<typeof widefield> {
  return widefield('train', '--config', at('run.json'), '--folder', at(folder), ...args);
}

async function readJson(...names: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(at(...names), 'utf8')) as Record<string, unknown>;
}

async function logOf(folder: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(at(folder, 'log.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** All tensors of a file: the record of the run, values, moments, averages and masks. */
async function tensorsOf(file: string): Promise<Map<string, Uint8Array>> {
  const checkpoint = await openCheckpoint(file);
  const tensors = new Map<string, Uint8Array>();
  for (const key of checkpoint.entries.keys()) {
    tensors.set(key, (await checkpoint.readBytes?.(key)) ?? new Uint8Array());
  }
  await checkpoint.close();
  return tensors;
}

/** A tensor's numbers, zeros without sign. */
async function valuesOf(file: string, key: string): Promise<number[]> {
  const checkpoint = await openCheckpoint(file);
  const values = await checkpoint.read(key);
  await checkpoint.close();
  return [...values].map((value) => value + 0);
}

/** Waits until a run has logged that many updates, then does as Ctrl-C does below a launcher that passes it on once more. */
async function interruptAfter(folder: string, updates: number): Promise<void> {
  for (;;) {
    const lines = await logOf(folder).catch(() => []);
    if (lines.filter(({ type }) => type === 'step').length >= updates) break;
    await setTimeout(20);
  }
  process.emit('SIGINT');
  process.emit('SIGINT');
}

describe('a run', () => {
  let outcome: Awaited<ReturnType<typeof widefield>>;
  beforeAll(async () => {
    outcome = await train(
      'straight',
      '--plot',
      at('curves.svg'),
      '--half',
      '--reestimate',
      '--epochs',
      '6',
      '--rate',
      '0.02',
    );
  });

  it('trains, and says how to use what it trained', () => {
    expect(outcome.err).toBe('');
    expect(outcome.code).toBe(0);
    expect(outcome.out).toContain(`${TRAINING} images of 2 classes, ${HELD} held back`);
    expect(outcome.out).toMatch(/\n +6\/6 +\d\.\d{4} +[\d.]+%/);
    expect(outcome.out).toContain(`widefield classify photo.jpg --model ${at('straight', 'model.json')}\n`);
  });

  it('writes the network, its masks, what came of it and the log, and nothing else', async () => {
    expect((await readdir(at('straight'))).sort()).toEqual([
      ...['config.json', 'log.jsonl', 'masks.safetensors', 'model.json', 'model.safetensors'],
      ...['result.json', 'run.safetensors'],
    ]);
    const result = await readJson('straight', 'result.json');
    expect(result).toMatchObject({ seed: 0, epochs: 6, images: { training: TRAINING, validation: HELD } });
    expect(result.top1).toBeGreaterThan(0.9);
    const weights = await openCheckpoint(at('straight', 'model.safetensors'));
    expect(weights.entries.get('head.weight')).toMatchObject({ dtype: 'float16', shape: [2, 8] });
    await weights.close();
    // 60% of the masked weights remain, and masked ones are zeros.
    const masks = [...(await tensorsOf(at('straight', 'masks.safetensors'))).values()];
    const ones = masks.reduce((sum, mask) => sum + mask.reduce((a, b) => a + b, 0), 0);
    const all = masks.reduce((sum, mask) => sum + mask.length, 0);
    expect(ones).toBe(Math.floor(0.6 * all));
  });

  it('logs its config first, every update, and every epoch with its evaluation', async () => {
    const lines = await logOf('straight');
    expect(lines.map(({ type }) => type)).toEqual([
      'config',
      ...Array.from({ length: 6 }, () => [...Array<string>(6).fill('step'), 'epoch']).flat(),
      'end',
    ]);
    expect(lines[1]).toMatchObject({ step: 1, steps: 36, epoch: 0 });
    expect(lines[7]).toMatchObject({ epoch: 0, step: 6, validation: { images: HELD } });
  });

  it('draws curves, also later', async () => {
    const svg = await readFile(at('curves.svg'), 'utf8');
    expect(svg).toContain('tiny on ');
    expect(svg).toContain('Learning rate');
    const later = await widefield('train', '--plot-only', at('straight'), '--plot', at('later.svg'));
    expect(later.code).toBe(0);
    expect(await readFile(at('later.svg'), 'utf8')).toBe(svg);
  });

  it('is compared with others', async () => {
    const picture = at('runs.svg');
    const { code, out } = await widefield('runs', at('straight'), '--out', picture);
    expect(code).toBe(0);
    const { top1, remaining } = await readJson('straight', 'result.json');
    expect(out).toMatch(/run +runs +top-1/);
    expect(out).toContain(`${(100 * Number(top1)).toFixed(2)}%`);
    expect(out).toMatch(new RegExp(` ${String(remaining)} `));
    expect(await readFile(picture, 'utf8')).toContain('Accuracy on images held back');
    const twice = await widefield('runs', at('straight'), `${at('straight')}/../straight`, '--json');
    expect(JSON.parse(twice.out)).toMatchObject([{ runs: [{ name: 'straight' }] }]);
    await cp(at('straight'), at('copy'), { recursive: true });
    expect((await widefield('runs', at('straight'), at('copy'))).err).toBe(
      'straight and copy have the same seed: means count what is one run twice.\n',
    );
    const missing = await widefield('runs', at('nowhere'));
    expect(missing.code).toBe(1);
    expect(missing.err.trim().split('\n')).toHaveLength(1);
  });

  it('is a network that eval takes, with the accuracy that training told', async () => {
    const files = ['--data', at(), '--split', 'test']; // the weights are beside model.json
    const where = ['--device', 'wasm', '--threads', '1', '--workers', '0', '--json'];
    const evaluated = await widefield('eval', at('straight', 'model.json'), ...files, ...where);
    const result = await readJson('straight', 'result.json');
    // Float16 may turn an image over that stood on the edge.
    expect(Math.abs((JSON.parse(evaluated.out) as { top1: number }).top1 - Number(result.top1))).toBeLessThan(
      0.06,
    );
  });

  it('is told from another one when it is resumed', async () => {
    const resume = ['train', '--resume', at('straight')];
    const rate = await widefield(...resume, '--rate', '0.1', '--mix-cutmix', '0');
    expect(rate.code).toBe(1);
    expect(rate.err).toMatch(/it has rate 0\.02, not 0\.1; mix .*"cutmix":1.*, not .*"cutmix":0/);
    const model = JSON.stringify({ ...(config().model as object), channels: [8, 16] });
    const other = await widefield(...resume, '--model', model, '--limit', '20');
    expect(other.err).toContain('it has model.channels [8,8], not [8,16]; limit none, not 20.');
    const again = await train('straight');
    expect(again.err).toContain(`holds a run already: go on with it by --resume ${at('straight')}`);
    const moved = await widefield(...resume, '--folder', at('elsewhere'));
    expect(moved.err).toContain(`A run goes on in its own folder, ${at('straight')}: leave --folder out`);
  });

  it('keeps what does not fit float16 in float32, and says so', async () => {
    const source = await openCheckpoint(at('straight', 'model.safetensors'));
    const tensors = [...source.entries].map(([key, { shape }]) => ({ key, shape }));
    const read = (key: string): Promise<Float32Array> =>
      key === 'head.bias' ? Promise.resolve(Float32Array.of(7e4, 0)) : source.read(key);
    await writeSafetensors(tensors, read, await openFileSink(at('large.safetensors')));
    await source.close();
    const { err, code } = await train(
      'large',
      ...['--weights', at('large.safetensors'), '--half', '--epochs', '1', '--rate', '0'],
      ...['--schedule', '{"kind":"constant"}', '--average-decay', 'none', '--sparsity', 'none'],
    );
    expect(err).toContain('1 values of head.bias do not fit float16: it is written as float32.');
    expect(code).toBe(0);
    const written = await openCheckpoint(at('large', 'model.safetensors'));
    expect(written.entries.get('head.weight')?.dtype).toBe('float16');
    expect([...(await written.read('head.bias'))]).toEqual([7e4, 0]);
    await written.close();
  });

  it('goes on with the mean and deviation of a network whose weights it takes', async () => {
    const file = await readJson('straight', 'model.json');
    const photos = { ...(file.photos as object), mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] };
    await writeFile(at('other-photos.json'), JSON.stringify({ ...file, photos }));
    const args = ['--model', at('other-photos.json'), '--print-config'];
    const weights = ['--weights', at('straight', 'model.safetensors')];
    const learned = JSON.parse((await train('tuned', ...args, ...weights)).out) as Record<string, unknown>;
    expect(learned.transform).toMatchObject({ mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6], flip: 0 });
    expect(learned.evaluation).toMatchObject({ mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] });
    const anew = JSON.parse((await train('tuned', ...args)).out) as { transform: object };
    expect(anew.transform).not.toHaveProperty('mean');
  });

  it('prepares photos as the authors of the weights did', async () => {
    const printed = async (...args: readonly string[]): Promise<Record<string, unknown>> =>
      JSON.parse((await train('tuned', '--print-config', ...args)).out) as Record<string, unknown>;
    const half = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
    const weights = ['--weights', 'official.pth'];
    const xl = await printed('--model', 'replknet-xl', '--resolution', '320', ...weights);
    expect(xl.transform).toMatchObject(half);
    expect(xl.evaluation).toMatchObject({ ...half, crop: { kind: 'centre', resize: 365 } });
    const large = ['--model', 'replknet-31b', '--resolution', '384'];
    const warped = await printed(...large, ...weights);
    expect(warped.evaluation).toMatchObject({ crop: { kind: 'centre', resize: 'warp' } });
    const own = await printed(...large, ...weights, '--evaluation-crop', '{"kind":"centre","resize":400}');
    expect(own.evaluation).toMatchObject({ crop: { resize: 400 } });
    expect((await printed(...large)).evaluation).not.toMatchObject({ crop: { resize: 'warp' } });
  });
});

describe('going on', () => {
  it('after Ctrl-C gives bit for bit what a run without it gives', async () => {
    await train('whole');
    const [stopped] = await Promise.all([train('stopped'), interruptAfter('stopped', 4)]);
    expect(stopped.code).toBe(130);
    expect(stopped.err).toContain(`Stopped; go on with: widefield train --resume ${at('stopped')}`);
    expect((await readdir(at('stopped'))).sort()).toEqual(['config.json', 'log.jsonl', 'run.safetensors']);

    const resumed = await widefield('train', '--resume', at('stopped'));
    expect(resumed.code).toBe(0);
    const [whole, pieces] = [
      await tensorsOf(at('whole', 'run.safetensors')),
      await tensorsOf(at('stopped', 'run.safetensors')),
    ];
    expect([...pieces.keys()]).toEqual([...whole.keys()]);
    for (const prefix of ['values.', 'moment1.', 'moment2.', 'average.', 'mask.']) {
      expect([...whole.keys()].some((key) => key.startsWith(prefix))).toBe(true);
    }
    for (const [key, bytes] of whole) expect(pieces.get(key), key).toEqual(bytes);
    expect(await tensorsOf(at('stopped', 'model.safetensors'))).toEqual(
      await tensorsOf(at('whole', 'model.safetensors')),
    );
    const steps = (await logOf('stopped')).filter(({ type }) => type === 'step').map(({ step }) => step);
    expect(steps).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
  });

  it('while it is evaluated still gives what an epoch came to', async () => {
    await train('evaluated');
    const before = await logOf('evaluated');
    const last = before.findLastIndex(({ type }) => type === 'epoch');
    // The checkpoint is written before the evaluation, so this is what a run leaves that is stopped there.
    const lines = before.slice(0, last).map((line) => JSON.stringify(line));
    // And so is a line that the machine stopped in.
    await writeFile(at('evaluated', 'log.jsonl'), `${lines.join('\n')}\n{"type":"st`);
    const resumed = await widefield('train', '--resume', at('evaluated'));
    expect(resumed.code).toBe(0);
    const times = { seconds: expect.any(Number) as number, elapsed: expect.any(Number) as number };
    const { epochs, events } = await readLog(at('evaluated', 'log.jsonl'));
    expect(epochs.at(-1)).toEqual({ ...before[last], ...times });
    expect(epochs).toHaveLength(2);
    expect(events.map(({ type }) => type)).toEqual(['config', 'resume', 'end']);
  });

  it('is advised only where there is a checkpoint to go on from', async () => {
    const begun = async (): Promise<void> => {
      while (!(await readdir(at('early')).catch(() => [] as string[])).includes('config.json')) {
        await setTimeout(1);
      }
      process.emit('SIGINT');
    };
    // Of a process that is gone.
    await mkdir(at('early'));
    await writeFile(at('early', 'run.lock'), '999999999');
    const [stopped] = await Promise.all([train('early'), begun()]);
    expect(stopped.code).toBe(130);
    const files = await readdir(at('early'));
    expect(files).not.toContain('run.lock');
    expect(stopped.err.includes('go on with')).toBe(files.includes('run.safetensors'));
  });

  it('in the middle of accumulated batches stops at the last whole update', async () => {
    const long = ['--accumulate', '3', '--epochs', '40'];
    const [stopped] = await Promise.all([train('sums', ...long), interruptAfter('sums', 1)]);
    expect(stopped.code).toBe(130);
    const record = (await tensorsOf(at('sums', 'run.safetensors'))).get('widefield.run');
    const { progress } = JSON.parse(new TextDecoder().decode(record)) as {
      progress: { batch: number; step: number };
    };
    expect(progress.batch % 3).toBe(0);
    expect(progress.step).toBeGreaterThan(0);
  });
});

/** Makes files of this process end at so many bytes, as a full disk does. Throws where that cannot be had. */
function limitFiles(bytes: string): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]);
}

describe('what goes wrong', () => {
  it('is a loss that is not finite: the step, the layer and the last good checkpoint are told', async () => {
    const first = await train('burst', '--rate', '1e20', '--clip', 'none');
    expect(first.code).toBe(1);
    expect(first.err).toMatch(
      /The loss is (NaN|-?Infinity|Infinity) at step \d+; the first number that is not finite is in (stages|downsample_layers|norm|head|the parameter)/,
    );
    expect(await readdir(at('burst'))).not.toContain('run.safetensors');
  });

  it('is a full disk: the checkpoint before stays', async (context) => {
    const [stopped] = await Promise.all([train('full', '--epochs', '30'), interruptAfter('full', 2)]);
    expect(stopped.code).toBe(130);
    const file = at('full', 'run.safetensors');
    const before = await readFile(file);
    try {
      limitFiles(String(Math.floor(before.byteLength / 2)));
    } catch {
      context.skip('prlimit is not there to limit the size of files');
    }
    let outcome;
    try {
      outcome = await widefield('train', '--resume', at('full'), '--save-every', '1');
    } finally {
      limitFiles('unlimited');
    }
    expect(outcome.code).toBe(1);
    expect(outcome.err).toMatch(/run\.safetensors cannot be written/);
    expect(await readFile(file)).toEqual(before);
    expect((await readdir(at('full'))).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('is a folder that another process trains in', async () => {
    await mkdir(at('taken'));
    await writeFile(at('taken', 'run.lock'), String(process.ppid));
    const { code, err } = await train('taken');
    expect(code).toBe(1);
    expect(err).toContain(`Process ${process.ppid} is training in ${at('taken')}: give another --folder`);
    expect(await readdir(at('taken'))).toEqual(['run.lock']);
  });

  it('is a disk without room for a lock, of which nothing stays', async (context) => {
    await mkdir(at('no-room'));
    try {
      limitFiles('0');
    } catch {
      context.skip('prlimit is not there to limit the size of files');
    }
    try {
      const locked = whileLocked(at('no-room'), () => Promise.resolve());
      await expect(locked).rejects.toThrow(/run\.lock cannot be written: /);
    } finally {
      limitFiles('unlimited');
    }
    expect(await readdir(at('no-room'))).toEqual([]);
  });

  it('is a lock that is still being written, or has been taken over', async () => {
    await mkdir(at('slow'));
    const lock = at('slow', 'run.lock');
    await writeFile(lock, '');
    const number = setTimeout(30).then(() => writeFile(lock, String(process.ppid)));
    await expect(whileLocked(at('slow'), () => Promise.resolve())).rejects.toThrow(/is training in/);
    await number;
    await writeFile(lock, '999999999');
    await whileLocked(at('slow'), () => writeFile(lock, String(process.ppid)));
    expect(await readFile(lock, 'utf8')).toBe(String(process.ppid));
  });

  it.each(['model.safetensors', 'model.json', 'result.json', 'config.json'])(
    'is a folder with a %s that would be lost',
    async (name) => {
      const folder = `with-${name}`;
      await mkdir(at(folder));
      await writeFile(at(folder, name), 'mine');
      const { code, err } = await train(folder);
      expect(code).toBe(1);
      expect(err).toContain(`${at(folder)} holds a ${name} already, which would be lost`);
      expect(await readdir(at(folder))).toEqual([name]);
      expect(await readFile(at(folder, name), 'utf8')).toBe('mine');
    },
  );

  it('is a folder that cannot be made', async () => {
    const { code, err } = await train(path.join('run.json', 'inside'));
    expect(code).toBe(1);
    expect(err).toMatch(/^The folder .*inside cannot be made: /);
    const file = await widefield('train', '--config', at('run.json'), '--folder', at('run.json'));
    expect(file.err).toMatch(/run\.json cannot be made: there is a file in place of the folder\.\n$/);
  });

  it.each([
    [{ optimiser: {} }, /run.*json: There is no optimiser: did you mean optimizer\?/],
    [{ checkpoint: true }, /There is no checkpoint: did you mean recompute\?/],
    [{ optimizer: { weightDecay: -1 } }, /optimizer\.weightDecay must be a number from 0 on, got -1\./],
    [{ epochs: 1.5 }, /epochs must be a whole number from 1 on, got 1\.5\./],
    [{ transform: { crop: { kind: 'pad', paddin: 2 } } }, /no transform\.crop\.paddin: did you mean/],
    [
      { model: { family: 'slack' } },
      /model\.family must be slak, convnext, replknet or convfirst, got "slack"/,
    ],
    [{ model: 'slak-tin' }, /did you mean slak-tiny\?/],
    [{ model: 'slak-tiny', resolution: 16 }, /slak-tiny needs an input of at least/],
    [{ model: null }, /model is missing/],
    [{ warmupEpochs: 3 }, /warm-up of 3 epochs is longer than the run of 2/],
    [{ batchSize: 4096 }, /48 images, too few for one update of 1 × 4096/],
    [{ data: 'nowhere' }, /nowhere/],
    [{ split: 'dev' }, /has no split dev/],
    [{ plot: 'curves.gif' }, /\.svg or \.png, got curves\.gif/],
    [{ plot: 'missing/curves.svg' }, /curves\.svg cannot be written: there is no such file or folder/],
    [{ weights: 'none.safetensors' }, /none\.safetensors/],
  ])('is a config such as %j', async (wrong, message) => {
    const file = at('wrong-run.json');
    await writeFile(file, JSON.stringify({ ...config(), ...wrong }));
    const { code, err } = await widefield('train', '--config', file, '--folder', at('wrong'));
    expect(err).toMatch(message);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(code).toBe(1);
  });

  it.each([
    [['--epoch', '3'], /--epochs/],
    [['--epochs', 'three'], /epochs must be a whole number from 1 on, got "three"/],
    [['--optimizer-betas', '0.9'], /list of 2 values/],
    [['--transform-crop', '{"kind":"zoom"}'], /none, pad, random-resized or centre, got "zoom"/],
  ])('is a flag such as %s', async (flags, message) => {
    const { code, err } = await train('wrong', ...flags);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  it('is a folder without a run', async () => {
    expect((await widefield('train', '--resume', at('nothing'))).err).toMatch(/config\.json cannot be read/);
    expect((await widefield('train', '--plot-only', at('nothing'))).err).toMatch(/no log/);
  });
});

describe('images that are held back', () => {
  const held = async (config: Record<string, unknown>): Promise<(number | undefined)[]> => {
    const complete = readConfig({ model: 'slak-tiny', ...config });
    const data = await openTrainData(complete, new AbortController().signal);
    await closeData(data);
    return [data.training.length, data.validation?.length];
  };

  it('are those of the part for that, wherever they are', async () => {
    expect(await held({ data: at() })).toEqual([TRAINING, HELD]);
    expect(await held({ data: at(), validation: { data: at() } })).toEqual([TRAINING, HELD]);
    expect(await held({ data: at(), validation: { data: `${at()}/.` } })).toEqual([TRAINING, HELD]);
    expect(await held({ data: at(), validation: { data: at(), split: 'train' } })).toEqual([
      TRAINING,
      TRAINING,
    ]);
    expect(await held({ data: at(), validation: { share: 0.25 } })).toEqual([36, 12]);
  });

  it('are never those of the part that is trained with, whatever it is called', async () => {
    await mkdir(at('shards'));
    const image = await encodedImage('png', 1);
    const entries = Array.from({ length: 20 }, (_, i) => [
      { name: `${i}.png`, data: image },
      { name: `${i}.cls`, data: String(i % 2) },
    ]).flat();
    for (const name of ['train', 'validation'])
      await writeFile(at('shards', `${name}-0.tar`), tarFile(entries));
    expect(await held({ data: at('shards') })).toEqual([20, 20]);
    expect(await held({ data: at('shards'), split: 'val' })).toEqual([18, 2]);
    expect(await held({ data: at('shards'), split: 'val', validation: { data: at('shards') } })).toEqual([
      18, 2,
    ]);
  });
});

it('prints the config with everything filled in; flags come before the file, and none takes away', async () => {
  const { out } = await train(
    'printed',
    ...['--print-config', '--sparsity', '0.5', '--clip', 'none', '--optimizer-betas', '0.9,0.95'],
  );
  const printed = JSON.parse(out) as Record<string, unknown>;
  expect(printed).toMatchObject({
    clip: null,
    seed: 0,
    resolution: SIDE,
    optimizer: { rule: 'adamw', betas: [0.9, 0.95], weightDecay: 0.05 },
    sparsity: { sparsity: 0.5, density: 'snip', every: 2 },
    // Images have the network's size already.
    transform: { crop: { kind: 'pad', padding: 2 }, flip: 0 },
    evaluation: { crop: { kind: 'none' } },
  });
  await writeFile(at('printed.json'), out);
  const again = await widefield('train', '--config', at('printed.json'), '--print-config');
  expect(JSON.parse(again.out)).toEqual(printed);
});

it('prints a JSON Schema that knows every member', async () => {
  const { out } = await widefield('train', '--schema');
  const schema = JSON.parse(out) as { properties: Record<string, unknown>; required: string[] };
  expect(schema.required).toEqual(['model', 'data']);
  const { out: config } = await train('printed', '--print-config');
  expect(Object.keys(schema.properties)).toEqual(Object.keys(JSON.parse(config) as object));
});

it('fine-tunes weights; a classifier for other classes starts anew, and a teacher may take part', async () => {
  await train('teacher', '--epochs', '1');
  const weights = at('teacher', 'model.safetensors');
  const same = await train(
    'fine',
    '--epochs',
    '1',
    '--weights',
    weights,
    '--rate',
    '0',
    '--schedule',
    '{"kind":"constant"}',
    '--average-decay',
    'none',
    '--sparsity',
    'none',
  );
  expect(same.err).toBe('');
  expect(same.code).toBe(0);
  for (const key of ['head.weight', 'stages.0.0.pwconv1.weight']) {
    const [before, after] = [
      await valuesOf(weights, key),
      await valuesOf(at('fine', 'model.safetensors'), key),
    ];
    expect(after).toEqual(before);
  }

  // Three classes in a folder of images.
  const sharp = (await import('sharp')).default;
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    await mkdir(at('photos', name), { recursive: true });
    for (let n = 0; n < 8; n++) {
      const data = Buffer.alloc(SIDE * SIDE * 3, 60 * i + 5 * n);
      await sharp(data, { raw: { width: SIDE, height: SIDE, channels: 3 } })
        .png()
        .toFile(at('photos', name, `${n}.png`));
    }
  }
  const photos = ['--data', at('photos'), '--batch-size', '4', '--epochs', '1'];
  const other = await train('photos-run', ...photos, '--weights', weights);
  expect(other.err).toContain('tells other classes apart: head.weight and head.bias start anew.');
  expect(other.code).toBe(0);
  const wrong = await train(
    'taught',
    ...photos,
    '--teacher-weights',
    weights,
    '--teacher-model',
    at('teacher', 'model.json'),
  );
  expect(wrong.err).toMatch(/tells 2 classes apart, but the images have 3/);
  const model = await readJson('photos-run', 'model.json');
  const teach = async (folder: string, changes: object): ReturnType<typeof widefield> => {
    await writeFile(at(`${folder}.json`), JSON.stringify({ ...model, ...changes }));
    const of = ['--teacher-model', at(`${folder}.json`), '--teacher-weights'];
    return train(folder, ...photos, ...of, at('photos-run', 'model.safetensors'));
  };
  const swapped = await teach('taught-swapped', { classes: ['a', 'c', 'b'] });
  expect(swapped.err).toContain('calls class 1 c, but the images call it b: both must have the same classes');
  expect(swapped.code).toBe(1);
  const bright = { ...(model.photos as object), mean: [0, 0, 0], std: [1, 1, 1] };
  const shifted = await teach('taught-shifted', { photos: bright });
  expect(shifted.err).toContain('give --transform-mean 0,0,0 --transform-std 1,1,1.');
  expect(shifted.code).toBe(0);
  const taught = await train(
    'taught-2',
    '--epochs',
    '1',
    '--teacher-weights',
    weights,
    '--teacher-model',
    at('teacher', 'model.json'),
  );
  expect(taught.err).toBe('');
  expect(taught.code).toBe(0);

  const both = ['--teacher-weights', JSON.stringify([weights, at('fine', 'model.safetensors')])];
  const together = await train(
    'taught-3',
    '--epochs',
    '1',
    ...both,
    '--teacher-model',
    at('teacher', 'model.json'),
  );
  expect(together.err).toBe('');
  expect(together.code).toBe(0);
  const models = JSON.stringify(['slak-tiny', 'slak-tiny', 'slak-tiny']);
  const uneven = await train('taught-4', '--epochs', '1', ...both, '--teacher-model', models);
  expect(uneven.err).toContain('teacher.model and teacher.weights must be equally many; they are 3 and 2.');
});
