import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { interpret } from '../../src/codegen/interpret.ts';
import type { DeviceCaps } from '../../src/core/caps.ts';
import { Random } from '../../src/core/random.ts';
import type { Device } from '../../src/devices/device.ts';
import { openNativeDevice } from '../../src/devices/native.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { reference } from '../../src/graph/reference.ts';
import type { Candidate } from '../../src/kernels/family.ts';
import { candidates } from '../../src/kernels/index.ts';
import { channelPitch } from '../../src/kernels/problem.ts';
import type { Problem } from '../../src/kernels/problem.ts';
import { signature } from '../../src/kernels/signature.ts';
import { createOp, describeConfig } from '../../src/runtime/op.ts';
import { tolerance } from './tolerance.ts';
import { kernelWork } from './work.ts';
import { NO_COMPILER, openIfHere } from './devices.ts';

/** The best candidate of each family and lane count: a few that differ much, for problems that take long. */
export function bestOfEach(all: readonly Candidate[]): readonly Candidate[] {
  const seen = new Set<string>();
  return all.filter(({ family, config }) => {
    const kind = `${family} ${config.lanes}`;
    return !seen.has(kind) && seen.add(kind);
  });
}

/** The best of each algorithm, for kernels so long that a compiler takes seconds. */
export function bestOfFamilies(all: readonly Candidate[]): readonly Candidate[] {
  const seen = new Set<string>();
  return all.filter(({ family }) => !seen.has(family) && seen.add(family));
}

/** All candidates as WebAssembly; natively, where each takes a compiler a second, the best of each kind. */
export function allButNative(all: readonly Candidate[], device: 'wasm' | 'native'): readonly Candidate[] {
  return device === 'wasm' ? all : bestOfEach(all);
}

type Floats = Readonly<Record<string, Float32Array>>;

/** A problem to test. Pitches depend on the device, so it is made from the pitch of a number of channels. */
export interface KernelCase {
  readonly name: string;
  readonly problem: (pitch: (channels: number) => number) => Problem;
  /** Changes the random inputs, which are uniform in [-1, 1). */
  readonly input?: (value: number) => number;
  /** Changes the random weights, which are uniform in [-1, 1). */
  readonly weight?: (value: number) => number;
  /** Which candidates are tested on devices; default: all. The interpreter takes all that it has time for. */
  readonly onDevices?: (all: readonly Candidate[], device: 'wasm' | 'native') => readonly Candidate[];
}

/** Statements, times lanes, that the interpreter executes in a fraction of a second. Longer candidates run on devices only. */
const INTERPRETED_WORK = 4_000_000;

const INTERPRETED_LANES = [[4], [16, 8, 4]];

/**
 * Tests the candidates of every problem against the float64 reference: in the interpreter, for vectors of 4 and of
 * up to 16 lanes and both roundings of `fma`, as far as that is quick, and on every device of this machine.
 * Outputs are NaN before each run, and padding must be exactly zero after it.
 */
export function describeKernels(title: string, cases: readonly KernelCase[]): void {
  describe(title, () => {
    for (const lanes of INTERPRETED_LANES) describeInterpreted(interpreterCaps(lanes), cases);
    describeDevice('wasm', () => openWasmDevice({ threads: 2 }), cases);
    describeDevice('native', () => openNativeDevice({ threads: 2 }), cases);
  });
}

/** The same, interpreted only, with so few bytes of a second-level cache that small problems do as large ones. */
export function describeSmallCache(title: string, l2Bytes: number, cases: readonly KernelCase[]): void {
  describe(title, () => {
    for (const lanes of INTERPRETED_LANES) describeInterpreted({ ...interpreterCaps(lanes), l2Bytes }, cases);
  });
}

function describeInterpreted(caps: DeviceCaps, cases: readonly KernelCase[]): void {
  const quick = (candidate: Candidate): boolean => interpretedWork(candidate) <= INTERPRETED_WORK;
  const small = cases.filter((test) => candidates(problemFor(test, caps), caps).some(quick));
  // Vitest takes a group without tests for a mistake.
  if (small.length === 0) return;
  describe(`interpreted with lanes ${caps.lanes.join(', ')}`, () => {
    it.each(small)('$name', (test) => {
      const data = dataFor(test, caps);
      for (const candidate of candidatesFor(data.problem, caps).filter(quick)) {
        for (const fma of ['separate', 'fused'] as const)
          check(data, candidate, runInterpreted(data, candidate, fma));
      }
    });
  });
}

function describeDevice(
  name: 'wasm' | 'native',
  open: () => Promise<Device>,
  cases: readonly KernelCase[],
): void {
  describe(`on ${name}`, () => {
    let device: Device | undefined;
    beforeAll(async () => {
      device = await openIfHere(open);
    });
    afterAll(() => device?.dispose());

    it.for(cases)('$name', async (test, context) => {
      if (device === undefined) return context.skip(NO_COMPILER);
      const opened = device;
      const data = dataFor(test, opened.caps);
      const all = candidatesFor(data.problem, opened.caps);
      const chosen = test.onDevices?.(all, name) ?? all;
      await Promise.all(
        chosen.map(async (candidate) => {
          check(data, candidate, await runOnDevice(opened, data, candidate));
        }),
      );
    });
  });
}

interface TestData {
  readonly problem: Problem;
  readonly inputs: Floats;
  readonly weights: Floats;
  readonly expected: Float64Array;
  readonly allowed: number;
}

function problemFor(test: KernelCase, caps: DeviceCaps): Problem {
  return test.problem((channels) => channelPitch(channels, caps.lanes[0] ?? 1));
}

function dataFor(test: KernelCase, caps: DeviceCaps): TestData {
  const problem = problemFor(test, caps);
  const { inputs: inputSpecs, weights: weightSpecs } = signature(problem);
  const inputs = Object.fromEntries(
    inputSpecs.map(({ name, rows, channels, pitch }) => {
      const values = new Random(`input ${name}`).array(rows * pitch).map(test.input ?? ((value) => value));
      // The second row of statistics are variances.
      const valid = name === 'statistics' ? values.map((v, i) => (i < pitch ? v : 1 + 0.5 * v)) : values;
      return [name, valid.map((value, i) => (i % pitch < channels ? value : 0))];
    }),
  );
  const weights = Object.fromEntries(
    weightSpecs.map(({ name, shape }) => {
      const values = new Random(`weight ${name}`)
        .array(shape.reduce((a, b) => a * b, 1))
        .map(test.weight ?? ((value) => value));
      return [name, name === 'running_var' ? values.map((value) => 1 + 0.5 * value) : values];
    }),
  );
  const expected = reference(problem, inputs, weights);
  return { problem, inputs, weights, expected, allowed: tolerance(problem, inputs, weights) };
}

function candidatesFor(problem: Problem, caps: DeviceCaps): Candidate[] {
  const all = candidates(problem, caps);
  expect(all.length, 'candidates').toBeGreaterThan(0);
  for (const candidate of all) expect(candidate.estimate, describeConfig(candidate)).toBeGreaterThan(0);
  return all;
}

function runInterpreted(data: TestData, candidate: Candidate, fma: 'separate' | 'fused'): Float32Array {
  const { main, prepare, packedFloats, tempFloats } = candidate.emit();
  const packed = new Float32Array(packedFloats);
  for (const kernel of prepare) interpret(kernel, { ...data.weights, packed }, { fma });
  const y = new Float32Array(data.expected.length).fill(NaN);
  const temp = new Float32Array(tempFloats).fill(NaN);
  for (const kernel of main) interpret(kernel, { ...data.inputs, packed, temp, y }, { fma });
  return y;
}

async function runOnDevice(device: Device, data: TestData, candidate: Candidate): Promise<Float32Array> {
  const op = await createOp(device, data.problem, data.weights, { candidate });
  try {
    for (const [name, values] of Object.entries(data.inputs)) op.input(name).set(values);
    op.output.fill(NaN);
    await op.run();
    const first = op.output.slice();
    op.output.fill(NaN);
    await op.run();
    expect(op.output, `the same bits again: ${op.config}`).toEqual(first);
    return first;
  } finally {
    await op.dispose();
  }
}

function check(data: TestData, candidate: Candidate, actual: Float32Array): void {
  const { channels, pitch } = signature(data.problem).output;
  const what = `${candidate.family} ${describeConfig(candidate)}`;
  expect(actual.length, what).toBe(data.expected.length);
  let worst = 0;
  let where = -1;
  let dirty = -1;
  actual.forEach((value, i) => {
    if (i % pitch >= channels) {
      if (value !== 0) dirty = i;
      return;
    }
    const error = Math.abs(value - (data.expected[i] ?? NaN));
    // Written so that NaN, an element that was never written, counts as the worst.
    if (!(error <= worst) && !Number.isNaN(worst)) {
      worst = error;
      where = i;
    }
  });
  expect(dirty, `${what}: padding that is not zero`).toBe(-1);
  expect(worst, `${what}: row ${Math.floor(where / pitch)} channel ${where % pitch}`).toBeLessThanOrEqual(
    data.allowed,
  );
}

function interpretedWork(candidate: Candidate): number {
  const { main, prepare } = candidate.emit();
  return [...main, ...prepare].reduce((sum, kernel) => sum + kernelWork(kernel), 0);
}

/** What the interpreter is to pretend it is: any lane counts, with the registers of such a machine. */
export function interpreterCaps(lanes: readonly number[]): DeviceCaps {
  return {
    name: 'interpreter',
    lanes,
    fullRateLanes: Math.min(lanes[0] ?? 4, 8),
    vectorRegisters: lanes[0] === 16 ? 32 : 16,
    fma: lanes[0] === 16,
    bf16: true,
    threads: 2,
    l1Bytes: 32 * 1024,
    l2Bytes: 1024 * 1024,
    maxBytes: 2 ** 30,
    fingerprint: 'interpreter',
  };
}
