import { afterEach, describe, expect, test, vi } from 'vitest';

import { KernelBuilder } from '../../src/codegen/builder.ts';
import { Random } from '../../src/core/random.ts';
import type { Device, Executable, Program } from '../../src/devices/device.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { toyProgram, toyResult } from '../support/toy-program.ts';

const opened: Device[] = [];

async function open(options: Parameters<typeof openWasmDevice>[0] = {}): Promise<Device> {
  const device = await openWasmDevice(options);
  opened.push(device);
  return device;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((device) => device.dispose()));
});

const TASKS = 97;
const ROUNDS = 41;
const start = new Random('start').array(TASKS * 16);

async function runToy(executable: Executable): Promise<Float32Array> {
  executable.view('staging')[0] = 0.125;
  await executable.prepare(0);
  executable.view('arena').set(start);
  await executable.run();
  const last = (ROUNDS % 2) * TASKS * 16;
  return executable.view('arena').slice(last, last + TASKS * 16);
}

const settings = [{ threads: 1 }, { threads: 2 }, { threads: 4 }, { threads: 1, workers: false }] as const;

describe.each(settings)('wasm device with %o', (options) => {
  test('runs steps that depend on each other, again and again', async () => {
    const device = await open(options);
    expect(device.caps.threads).toBe(options.threads);
    const executable = await device.compile(toyProgram(TASKS, ROUNDS));
    const expected = toyResult(TASKS, ROUNDS, 0.25, start);
    for (let i = 0; i < 20; i++) expect(await runToy(executable)).toEqual(expected);
  });

  test('prepares group by group', async () => {
    const device = await open(options);
    const executable = await device.compile(toyProgram(TASKS, ROUNDS));
    executable.view('staging')[0] = 21;
    await executable.prepare(0);
    expect(executable.view('weights')[16]).toBe(42);
    await executable.prepare(1);
    expect(executable.view('weights')[16]).toBe(43);
    await expect(executable.prepare(2)).rejects.toThrow(/no prepare group 2/);
  });

  test('runs a program of no steps, and others after it', async () => {
    const device = await open(options);
    const nothing = await device.compile({ ...toyProgram(TASKS, ROUNDS), steps: [] });
    const toy = await device.compile(toyProgram(TASKS, ROUNDS));
    const expected = toyResult(TASKS, ROUNDS, 0.25, start);
    for (let i = 0; i < 300; i++) {
      await nothing.run();
      await toy.run();
    }
    expect(await nothing.profile()).toEqual([]);
    expect(await runToy(toy)).toEqual(expected);
  });

  test('brief runs in a row do not keep timers waiting', async () => {
    const device = await open(options);
    const executables = await Promise.all([1, 2].map(() => device.compile(toyProgram(4, 1))));
    let fired = false;
    setTimeout(() => {
      fired = true;
    }, 20);
    const deadline = performance.now() + 5000;
    while (!fired && performance.now() < deadline) {
      for (const executable of executables) await executable.run();
    }
    expect(fired).toBe(true);
  });

  test('times every step and computes the same', async () => {
    const device = await open(options);
    const executable = await device.compile(toyProgram(TASKS, ROUNDS));
    const expected = await runToy(executable);
    executable.view('arena').set(start);
    const times = await executable.profile();
    const last = (ROUNDS % 2) * TASKS * 16;
    expect(executable.view('arena').slice(last, last + TASKS * 16)).toEqual(expected);
    expect(times.map((time) => time.label)).toEqual(Array.from({ length: ROUNDS }, (_, i) => `round ${i}`));
    expect(times.every((time) => time.kernel === 'mix' && time.milliseconds >= 0)).toBe(true);
    expect(times.some((time) => time.milliseconds > 0)).toBe(true);
  });

  test('queues runs of several executables', async () => {
    const device = await open(options);
    const program = toyProgram(TASKS, 3);
    const first = await device.compile(program);
    const second = await device.compile(program);
    for (const executable of [first, second]) executable.view('arena').fill(1);
    first.view('weights')[16] = 1;
    second.view('weights')[16] = 2;
    const floats = TASKS * 16;
    // Round 3 starts from what round 2 left behind at the start of the arena.
    await Promise.all([first.run(), second.run(), first.run(), second.run()]);
    expect(first.view('arena')[floats]).toBe(32);
    expect(second.view('arena')[floats]).toBe(243);
  });

  test('stops between two steps when the signal fires', async () => {
    const device = await open(options);
    const executable = await device.compile(slowProgram(400));
    const controller = new AbortController();
    setTimeout(() => {
      controller.abort();
    }, 30);
    const begin = performance.now();
    await expect(executable.run({ signal: controller.signal })).rejects.toMatchObject({ code: 'aborted' });
    expect(performance.now() - begin).toBeLessThan(3000);
    await expect(executable.run({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' });
    await expect(executable.profile({ signal: AbortSignal.timeout(20) })).rejects.toMatchObject({
      code: 'aborted',
    });
    // The device still works.
    const toy = await device.compile(toyProgram(TASKS, ROUNDS));
    expect(await runToy(toy)).toEqual(toyResult(TASKS, ROUNDS, 0.25, start));
  });

  test('does not keep those waiting who cancel a run that waits itself', async () => {
    const device = await open(options);
    const executable = await device.compile(slowProgram(400));
    const [first, second] = [new AbortController(), new AbortController()];
    let hasEnded = false;
    const running = executable.run({ signal: first.signal }).finally(() => (hasEnded = true));
    const waiting = executable.run({ signal: second.signal });
    second.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    expect(hasEnded).toBe(false);
    first.abort();
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
    await executable.dispose();
  });

  test('rejects with the error of a thread that fails, and can be opened again', async () => {
    const device = await open(options);
    const executable = await device.compile(trappingProgram());
    const failure = await executable.run().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'device-lost' });
    expect((failure as Error).message).toMatch(/out of bounds.*open the device again/);
    expect((failure as Error).cause).toMatchObject({ name: 'RuntimeError' });
    await device.dispose();
    const again = await open(options);
    const toy = await again.compile(toyProgram(TASKS, ROUNDS));
    expect(await runToy(toy)).toEqual(toyResult(TASKS, ROUNDS, 0.25, start));
  });

  test('is disposed of once, with its executables, after the run under way', async () => {
    const device = await open(options);
    const executable = await device.compile(toyProgram(TASKS, ROUNDS));
    const run = executable.run();
    await Promise.all([executable.dispose(), executable.dispose(), device.dispose(), device.dispose()]);
    await run;
    await expect(executable.run()).rejects.toThrow(/disposed/);
    expect(() => executable.view('arena')).toThrow(/disposed/);
    await expect(device.compile(toyProgram(2, 1))).rejects.toThrow(/disposed/);
  });

  test('await using disposes of executables', async () => {
    const device = await open(options);
    const compiled = await device.compile(toyProgram(TASKS, ROUNDS));
    {
      await using executable = compiled;
      expect(await runToy(executable)).toEqual(toyResult(TASKS, ROUNDS, 0.25, start));
    }
    await expect(compiled.run()).rejects.toThrow(/disposed/);
  });

  test('refuses a program that is being compiled while it is disposed of', async () => {
    const device = await open(options);
    const compiling = device.compile(toyProgram(TASKS, 3));
    const refused = expect(compiling).rejects.toThrow(/disposed/);
    await device.dispose();
    await refused;
  });

  test('names the MiB it cannot have', async () => {
    const device = await open(options);
    const program = toyProgram(TASKS, 1);
    const large = { ...program, sizes: { ...program.sizes, arena: 2 ** 30 } };
    await expect(device.compile(large)).rejects.toMatchObject({
      code: 'out-of-memory',
      message: expect.stringMatching(/4097 MiB/) as string,
    });
  });

  test('opens and disposes of many devices and programs', async () => {
    // Two threads stand for any number.
    for (let i = 0; i < (options.threads === 2 ? 30 : 5); i++) {
      await using device = await openWasmDevice(options);
      const executable = await device.compile(toyProgram(TASKS, 3));
      await executable.run();
    }
  });
});

describe('wasm device', () => {
  test('starts every program with zeroed memory', async () => {
    const device = await open({ threads: 2 });
    for (let i = 0; i < 3; i++) {
      const executable = await device.compile(toyProgram(TASKS, 3));
      for (const region of ['weights', 'arena'] as const) {
        const view = executable.view(region);
        expect(view.every((value) => value === 0)).toBe(true);
        view.fill(i + 1);
      }
      await executable.run();
      await executable.dispose();
    }
  });

  test('works without Atomics.waitAsync', async () => {
    const atomics = Atomics as { waitAsync?: unknown };
    const { waitAsync } = atomics;
    delete atomics.waitAsync;
    try {
      const device = await open({ threads: 2 });
      const executable = await device.compile(toyProgram(TASKS, ROUNDS));
      const expected = toyResult(TASKS, ROUNDS, 0.25, start);
      for (let i = 0; i < 5; i++) expect(await runToy(executable)).toEqual(expected);
      expect(await executable.profile()).toHaveLength(ROUNDS);
    } finally {
      atomics.waitAsync = waitAsync;
    }
  });

  test('refuses impossible options and programs, naming them', async () => {
    await expect(openWasmDevice({ threads: 0 })).rejects.toThrow(/threads/);
    await expect(openWasmDevice({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' });
    const device = await open({ threads: 1 });
    await expect(device.compile(toyProgram(4, 1, 8))).rejects.toMatchObject({ code: 'unsupported' });
    const program = toyProgram(4, 1);
    const step = { ...program.steps[0], slots: [] } as Program['steps'][number];
    await expect(device.compile({ ...program, steps: [step] })).rejects.toThrow(/round 0/);
  });
});

/** Many steps of a few milliseconds each. */
function slowProgram(steps: number): Program {
  const b = new KernelBuilder({ name: 'slow', description: 'counts', lanes: 4, tasks: 8 });
  const out = b.output('out');
  const sum = b.variable(b.f32(0));
  b.for(0, 2_000_000, 1, (i) => {
    sum.set(b.add(b.mul(sum.get(), 0.5), b.toF32(i)));
  });
  b.store(out, b.mul(b.task, 16), sum.get());
  return {
    kernels: [b.build()],
    steps: Array.from({ length: steps }, (_, i) => ({
      kernel: 0,
      slots: [{ region: 'arena' as const, offset: 0 }],
      label: `slow ${i}`,
    })),
    prepare: [],
    sizes: { weights: 0, arena: 128, staging: 0 },
  };
}

/** One task of one step reads far outside of memory. */
function trappingProgram(): Program {
  const b = new KernelBuilder({ name: 'trap', description: 'reads out of bounds', lanes: 4, tasks: 8 });
  const out = b.inout('out');
  b.if(b.eq(b.task, 5), () => {
    b.store(out, 0, b.loadScalar(out, b.add(b.task, 500_000_000)));
  });
  const program = toyProgram(4, 2);
  return {
    ...program,
    kernels: [...program.kernels, b.build()],
    steps: [
      ...program.steps,
      { kernel: 3, slots: [{ region: 'arena', offset: 0 }], label: 'trap' },
      ...program.steps,
    ],
  };
}

test('a wake-up that comes too early does not end the wait for a run', async () => {
  const atomics = Atomics as unknown as {
    waitAsync: (words: Int32Array, index: number, value: number) => unknown;
  };
  const wait = vi.spyOn(atomics, 'waitAsync');
  try {
    await using pooled = await openWasmDevice({ threads: 2 });
    const executable = await pooled.compile(toyProgram(64, 2000));
    const running = executable.run();
    while (wait.mock.calls.length === 0) await Promise.resolve();
    const [words, index] = wait.mock.calls.at(-1) ?? [];
    if (words === undefined || index === undefined) throw new Error('nobody waits');
    // As a worker does that has ended the run before, but was interrupted before it told.
    expect(Atomics.notify(words, index)).toBe(1);
    await running;
  } finally {
    wait.mockRestore();
  }
}, 20_000);
