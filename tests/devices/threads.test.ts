import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Random } from '../../src/core/random.ts';
import type { Device } from '../../src/devices/device.ts';
import { openNativeDevice } from '../../src/devices/native.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import type { Candidate } from '../../src/kernels/family.ts';
import { candidates } from '../../src/kernels/index.ts';
import { NO_EPILOGUE, samePadding } from '../../src/kernels/problem.ts';
import type { Problem } from '../../src/kernels/problem.ts';
import { createOp } from '../../src/runtime/op.ts';
import { NO_COMPILER, openIfHere } from '../support/devices.ts';
import { randomWeights } from '../support/small-problems.ts';

const THREADS = [1, 2, 3];

const window = {
  batch: 4,
  height: 12,
  width: 13,
  kernelHeight: 5,
  kernelWidth: 5,
  stride: 1,
  dilation: 1,
  padding: samePadding(5, 5),
} as const;
const channels = { channels: 16, pitch: 16 } as const;
const depthwise = { op: 'depthwise', ...window, ...channels, epilogue: NO_EPILOGUE } as const;
const product = { rows: 312, inputs: 24, outputs: 32, inputPitch: 32, outputPitch: 32 } as const;
const planes = { inputs: 16, outputs: 32, groups: 1, inputPitch: 16, outputPitch: 32 } as const;

/** A problem, and what its candidates are told by; of those the best is taken. */
interface ThreadsCase {
  readonly name: string;
  readonly problem: Problem;
  readonly wanted?: (candidate: Candidate) => boolean;
}

const family =
  (name: string) =>
  (candidate: Candidate): boolean =>
    candidate.family === name;
/** Sums of several tasks, which are then added up. */
const hasParts = ({ config }: Candidate): boolean => Number(config.splits) > 1;

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

const cases: readonly ThreadsCase[] = [
  { name: 'depthwise by FFT', problem: depthwise, wanted: family('depthwise-fft') },
  { name: 'depthwise, direct', problem: depthwise, wanted: family('depthwise-direct') },
  { name: 'pointwise', problem: { op: 'pointwise', ...product, epilogue: NO_EPILOGUE } },
  { name: 'dense convolution', problem: { op: 'conv', ...window, ...planes, epilogue: NO_EPILOGUE } },
  {
    name: 'layer norm',
    problem: { op: 'layer-norm', rows: 1200, ...channels, epsilon: 1e-6, affine: true },
  },
  { name: 'maximum pool', problem: { op: 'pool', kind: 'max', ...window, ...channels, countPadding: false } },
  {
    name: 'weight gradient of a depthwise convolution',
    problem: { op: 'depthwise-weight-gradient', ...window, ...channels, gradientPitch: 16 * 25 },
    wanted: hasParts,
  },
  {
    name: 'weight gradient of a product',
    problem: { op: 'pointwise-weight-gradient', ...product, gradientPitch: 24 * 32 },
    wanted: hasParts,
  },
];

describe.each([
  ['native', (threads: number): Promise<Device> => openNativeDevice({ threads })],
  ['wasm', (threads: number): Promise<Device> => openWasmDevice({ threads })],
] as const)('%s: the same bits on any number of threads', (_, open) => {
  let devices: readonly (Device | undefined)[] = [];
  beforeAll(async () => {
    devices = await Promise.all(THREADS.map((threads) => openIfHere(() => open(threads))));
  });
  afterAll(async () => {
    for (const device of devices) await device?.dispose();
  });

  test.for(cases)('$name', async ({ problem, wanted = () => true }, context) => {
    const most = devices.at(-1);
    if (most === undefined) return context.skip(NO_COMPILER);
    const candidate = candidates(problem, most.caps).find(wanted);
    if (candidate === undefined) throw new Error('no such candidate');
    const tasks = candidate.emit().main.map((kernel) => kernel.tasks);
    expect(Math.max(...tasks), 'work for all threads').toBeGreaterThanOrEqual(most.caps.threads);
    const results: Float32Array[] = [];
    for (const device of devices) {
      if (device === undefined) continue;
      await using op = await createOp(device, problem, randomWeights(problem), { candidate });
      for (const { name } of op.signature.inputs) {
        op.input(name).set(new Random(name).array(op.input(name).length));
      }
      op.output.fill(NaN);
      await op.run();
      results.push(op.output.slice());
    }
    const [first = new Float32Array()] = results;
    expect(first.some((value) => value !== 0)).toBe(true);
    expect(first.some(Number.isNaN)).toBe(false);
    expect(results.map((values) => Buffer.compare(bytesOf(values), bytesOf(first)))).toEqual([0, 0, 0]);
  });
});
