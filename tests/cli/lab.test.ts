import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { describe, expect, it, test, vi } from 'vitest';

import { saveThisDevice } from '../../src/lab/device-store.ts';
import { findDevice } from '../../src/lab/devices.ts';
import { widefield } from '../support/command-line.ts';

async function labJson<T>(...args: string[]): Promise<T> {
  const { code, out, err } = await widefield('lab', ...args, '--json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as T;
}

interface WaterlineJson {
  readonly device: { readonly name: string };
  readonly model: string;
  readonly batch: number;
  readonly opByte: number;
  readonly kernels: readonly Record<string, unknown>[];
  readonly minLatencyMs: number;
  readonly maxEfficiency: number;
}

describe('waterline', () => {
  it('prints one object for one network', async () => {
    const json = await labJson<WaterlineJson>('waterline', 'resnet-50', '--device', 'a5000');
    expect(json).toMatchObject({ device: { name: 'a5000' }, model: 'resnet-50', batch: 128 });
    expect(json.opByte).toBeCloseTo(159.7, 1);
    expect(Object.keys(json.kernels[0] ?? {})).toEqual(
      expect.arrayContaining(['name', 'kind', 'ops', 'bytes', 'intensity', 'timeUs']),
    );
    const sum = json.kernels.reduce((total, { timeUs }) => total + Number(timeUs), 0);
    expect(json.minLatencyMs).toBeCloseTo(sum / 1e3, 9);
  });

  it('prints a list for several, at the resolution and batch that are asked for, blocks fused', async () => {
    const args = ['--resolution', '64', '--batch', '2', '--dtype', 'f32', '--device', 'm1'];
    const plain = await labJson<WaterlineJson[]>('waterline', 'convfirst-pico', 'convnext-tiny', ...args);
    const fused = await labJson<WaterlineJson[]>(
      'waterline',
      'convfirst-pico',
      'convnext-tiny',
      ...args,
      '--fused',
    );
    expect(plain.map(({ model, batch }) => [model, batch])).toEqual([
      ['convfirst-pico', 2],
      ['convnext-tiny', 2],
    ]);
    fused.forEach(({ minLatencyMs, kernels }, i) => {
      expect(minLatencyMs).toBeLessThan(plain[i]?.minLatencyMs ?? 0);
      expect(kernels.some(({ kind }) => kind === 'fused')).toBe(true);
    });
  });

  it('knows the costs of maps that no kernel here could index', async () => {
    const at = (batch: string) =>
      labJson<WaterlineJson & { ops: number }>(
        'waterline',
        'resnet-101',
        '--resolution',
        '1024',
        '--batch',
        batch,
      );
    const [one, many] = [await at('1'), await at('128')];
    expect(many.ops).toBe(128 * one.ops);
  });

  it('prints a table for people', async () => {
    const { code, out } = await widefield('lab', 'waterline', 'resnet-101');
    expect(code).toBe(0);
    expect(out).toMatch(/^conv1 +conv +30\.2 +244 +124 +508 +memory$/m);
    expect(out).toMatch(/highest efficiency +76\.3%/);
  });
});

test('block: layer-wise and fused', async () => {
  const json = await labJson<{ layerWiseUs: number; fusedUs: number }>(
    ...['block', 'mbconv', '--channels', '128', '--expansion', '4', '--size', '16', '--device', 'a5000'],
  );
  expect(Math.round(json.layerWiseUs)).toBe(544);
  expect(Math.round(json.fusedUs)).toBe(144);
  const { out } = await widefield(
    'lab',
    'block',
    'convfirst',
    '--channels',
    '16',
    '--expansion',
    '3',
    '--size',
    '128',
  );
  expect(out).toContain('layer-wise 1538 µs');
});

test.each([
  [['roofline'], /depthwise 3×3, direct, forward +2\.70 +5\.84 +memory/],
  [['gap'], /EfficientNet-B5 +83\.6 +9\.40 +31\.4 +385 +8\.2% +1\.09/],
  [['project', 'convfirst-pico'], /6\.08 ms \(published: 6\.08 ms\), 47\.2% of the peak/],
  [['scaling', '--kernels', '51'], /51-49-47-13 +38\.6 +9\.35 +30\.8 +5\.42 +18\.5 +3\.25/],
  [['mediant', 'resnet-101', '--step', '200'], /200 +92\.0% +68\.3%/],
  [['mediant', 'resnet-101', '--step', '200'], /waterline \d\d\.\d%, every byte from DRAM$/m],
  [['amdahl', 'resnet-101', '--top', '1'], /all pointwise +pointwise +\d+ +\d+\.\d% +\d+\.\d% +×1\.\d/],
  [['device', 'a5000'], /peak f16 +76677 GFLOP\/s/],
  [['device', '--list'], /^h200 +NVIDIA H200/m],
  [['device', '--list'], /^rtx-2080-ti .* 616 +peak\.f16, caches$/m],
  [['device', 'rtx-2080-ti'], /peak f16 .*tensor cores in f16 \(not confirmed\)$/m],
])('lab %j', async (args, line) => {
  const { code, out, err } = await widefield('lab', ...args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(line);
});

test.each([
  ['gap', 'points'],
  ['project', undefined],
  ['roofline', 'direct'],
  ['scaling', 'tables'],
])('lab %s --json is JSON', async (command, list) => {
  const json = await labJson<Record<string, unknown>>(command);
  expect(Array.isArray(list === undefined ? json : json[list])).toBe(true);
});

test('amdahl and mediant as JSON', async () => {
  const steps = await labJson<{ steps: readonly { speedup: number }[] }>('amdahl', 'mobilenet-v2');
  expect(steps.steps[0]?.speedup).toBeGreaterThan(1);
  const curve = await labJson<{ points: readonly unknown[] }>('mediant', 'mobilenet-v2');
  expect(curve.points).toHaveLength(61);
});

test('waterline --measure runs the network with the weights that it has, on this machine alone', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'widefield-lab-'));
  try {
    const device = path.join(folder, 'this.json');
    const measurements: unknown[] = [];
    const record = { name: 'this', peak: { f32: 1e9 }, bandwidth: 1e12, units: 1, measurements };
    await writeFile(device, JSON.stringify(record));
    const args = ['waterline', 'slak-fashion', '--batch', '1', '--measure'];
    const { measured } = await labJson<{ measured: Record<string, unknown> }>(...args, '--device', device);
    expect(measured.honest).toBe(true);
    // The rate on record was too low for any machine, so the one that was seen counts.
    expect(measured.device).toHaveProperty(
      'peak.f32',
      expect.toSatisfy((rate: number) => rate > 1e9),
    );
    expect(Number(measured.measuredMs)).toBeGreaterThan(Number(measured.leastMs));
    const refused = await widefield('lab', ...args, '--device', 'a5000');
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain('use --device this');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('published latencies are those of one device', async () => {
  const { out, err } = await widefield('lab', 'gap', '--device', 'm1');
  expect(out).toContain('EfficientNet-B5');
  expect(err).toMatch(/latencies are those of the a5000 in f16: .*--measured/);
  const single = await widefield('lab', 'gap', '--dtype', 'f32');
  expect(single.err).toMatch(/the a5000 in f16: to see a5000 in f32, give its own with --measured/);
  expect((await widefield('lab', 'project', 'convfirst-pico', '--dtype', 'f32')).out).not.toContain(
    'published',
  );
  const projected = await widefield('lab', 'project', 'convfirst-pico', '--device', 'm1');
  expect(projected.out).toMatch(/\d ms, 47\.2% of the peak/);
  const refused = await widefield('lab', 'gap', '--engine', 'onnxruntime-node');
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toContain('--measured');
});

test('data types are those that the device has, where none is named', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'widefield-lab-'));
  try {
    for (const dtype of ['f32', 'bf16']) {
      const device = path.join(folder, `${dtype}.json`);
      await writeFile(device, JSON.stringify({ name: dtype, peak: { [dtype]: 2e11 }, bandwidth: 4e10 }));
      const projected = await widefield('lab', 'project', 'convfirst-pico', '--device', device);
      expect(projected).toMatchObject({ code: 0, err: '' });
      const study = await labJson<{ dtype: string }>('roofline', '--device', device);
      expect(study.dtype).toBe(dtype);
    }
    expect((await labJson<{ dtype: string }>('roofline', '--device', 'm1')).dtype).toBe('f32');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.runIf(process.platform === 'linux')(
  'measurements are set against this machine, which says so if it is another one by now',
  async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'widefield-lab-'));
    vi.stubEnv('XDG_CACHE_HOME', folder);
    try {
      await saveThisDevice({ ...findDevice('m1'), name: 'this', title: 'Another CPU' });
      const bench = path.join(folder, 'bench.json');
      const row = { engine: 'widefield-native', model: 'resnet-50', shape: '1,224,224,3', medianMs: 60 };
      await writeFile(bench, JSON.stringify({ rows: [row, { ...row, correct: false }] }));
      const { code, out, err } = await widefield('lab', 'gap', '--measured', bench, '--json');
      expect(code).toBe(0);
      const { device, points } = JSON.parse(out) as { device: { name: string }; points: readonly unknown[] };
      expect(device.name).toBe('this');
      expect(points).toHaveLength(1);
      expect(err).toMatch(
        /^"this" was measured on Another CPU, and not on .*: run `widefield lab device`\.$/m,
      );
      expect(err).toContain('resnet-50 is left out: its result was wrong');
    } finally {
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true });
    }
  },
);

test('titles of reports are escaped once', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'widefield-lab-'));
  try {
    const [device, page] = [path.join(folder, 'mine.json'), path.join(folder, 'mine.html')];
    const record = { name: 'mine', title: 'Mine & yours', peak: { f32: 2e11 }, bandwidth: 4e10 };
    await writeFile(device, JSON.stringify(record));
    expect(await widefield('lab', 'device', device, '--out', page)).toMatchObject({ code: 0 });
    const html = await readFile(page, 'utf8');
    expect(html).toContain('<h1>Mine &amp; yours</h1>');
    expect(html).not.toContain('&amp;amp;');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('files may describe a device and measurements', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'widefield-lab-'));
  try {
    const device = path.join(folder, 'mine.json');
    const bench = path.join(folder, 'bench.json');
    await writeFile(device, '{"name": "mine", "peak": {"f32": 2e11}, "bandwidth": 4e10}');
    const row = { engine: 'widefield-native', model: 'resnet-50', shape: '1,224,224,3', medianMs: 60 };
    await writeFile(bench, JSON.stringify({ rows: [row, { ...row, shape: '1,64,64,3' }] }));
    const line = await labJson<WaterlineJson>('waterline', 'resnet-50', '--device', device, '--batch', '1');
    expect(line.opByte).toBe(5);
    const { out, err } = await widefield('lab', 'gap', '--device', device, '--measured', bench);
    expect(out).toMatch(/ResNet-50 +76\.1 +4\.09 +40\.9 +60\.0 +68\.2%/);
    expect(err).toContain('resnet-50 is left out');
    await writeFile(device, '{"name": "mine", "peak": {"f32": 2e11}, "bandwidth": -1}');
    const refused = await widefield('lab', 'waterline', 'resnet-50', '--device', device);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain('needs a positive number "bandwidth" in bytes a second, got -1.');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  [['waterline', 'resnet-11'], 2, 'resnet-101'],
  [['waterline', 'resnet-50', '--device', 'a500'], 1, 'a5000'],
  [['waterline', 'resnet-50', '--device', 'm1', '--dtype', 'f8'], 1, 'use f32 or f16'],
  [['waterline', 'resnet-50', '--device', 'nowhere.json'], 1, 'no device record nowhere.json'],
  [['waterline', 'slak-tiny', '--resolution', '16'], 1, 'at least 32×32'],
  [['block', 'mbconv', '--channels', '12', '--expansion', '4', '--size', '8'], 1, 'multiple of 8'],
  [['block', 'bottleneck', '--channels', '8', '--expansion', '4', '--size', '8'], 2, 'convfirst, mbconv'],
  [['project', 'resnet-50'], 1, 'ConvFirst networks only'],
  [['scaling', '--kernels', '8'], 1, 'must be odd'],
  [['scaling', '--kernels', '5'], 1, 'from 7 on'],
  [['mediant', 'resnet-101', '--step', '1e-6'], 1, 'at most 10000 points'],
  [['tensor-machine', 'ffn', '--channels', '1000000', '--expansion', '1000'], 1, 'more than 65536 tiles'],
  [['gap', '--measured', 'nowhere.json'], 1, 'nowhere.json cannot be read'],
])('lab %j fails in one line', async (args, code, hint) => {
  const outcome = await widefield('lab', ...args);
  expect({ code: outcome.code, out: outcome.out }).toEqual({ code, out: '' });
  expect(outcome.err).toContain(hint);
  expect(outcome.err.trim().split('\n')).toHaveLength(1);
});
