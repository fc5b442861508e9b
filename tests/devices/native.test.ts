import fs, {
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import os, { availableParallelism, tmpdir, userInfo } from 'node:os';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { KernelBuilder } from '../../src/codegen/builder.ts';
import { interpret } from '../../src/codegen/interpret.ts';
import type { Buffer, Value } from '../../src/codegen/ir.ts';
import type { Program } from '../../src/devices/device.ts';
import { openNativeDevice } from '../../src/devices/native.ts';
import { Random } from '../../src/core/random.ts';
import { openDevice } from '../../src/runtime/open.ts';
import { hasNativeDevice } from '../support/devices.ts';

/** Whether this machine has a C compiler; most of these tests are skipped without one. */
const isHere = await hasNativeDevice();

/** y[task·L …] = x · 2 + 1, then z = y summed over the previous step's other tasks' outputs. */
function twoStepProgram(tasks: number, lanes: number): Program {
  const scale = new KernelBuilder({ name: 'scale', description: 'y = 2 x + 1', lanes, tasks });
  const x = scale.input('x');
  const y = scale.output('y');
  const at = scale.mul(scale.task, lanes);
  scale.store(y, at, scale.fma(scale.loadVec(x, at), 2, 1));
  const reverse = new KernelBuilder({ name: 'reverse', description: 'z = y in reverse', lanes, tasks });
  const from = reverse.input('y');
  const to = reverse.output('z');
  const mirrored = reverse.mul(reverse.sub(tasks - 1, reverse.task), lanes);
  reverse.store(to, reverse.mul(reverse.task, lanes), reverse.loadVec(from, mirrored));
  const floats = tasks * lanes;
  const slot = (i: number) => ({ region: 'arena' as const, offset: i * floats });
  return {
    kernels: [scale.build(), reverse.build()],
    steps: [
      { kernel: 0, slots: [slot(0), slot(1)], label: 'scale' },
      { kernel: 1, slots: [slot(1), slot(2)], label: 'reverse' },
    ],
    prepare: [],
    sizes: { weights: 0, arena: 3 * floats, staging: 0 },
  };
}

describe.skipIf(!isHere)('native device', () => {
  test('runs steps in order on any number of threads', async () => {
    for (const threads of [1, 2, 5]) {
      const device = await openNativeDevice({ threads });
      const lanes = device.caps.lanes[0] ?? 4;
      const tasks = 64;
      const executable = await device.compile(twoStepProgram(tasks, lanes));
      const arena = executable.view('arena');
      const floats = tasks * lanes;
      for (let i = 0; i < floats; i++) arena[i] = i;
      await executable.run();
      const first = arena.subarray(2 * floats, 2 * floats + lanes);
      expect([...first]).toEqual(Array.from({ length: lanes }, (_, i) => 2 * (floats - lanes + i) + 1));
      const times = await executable.profile();
      expect(times.map((time) => time.label)).toEqual(['scale', 'reverse']);
      await device.dispose();
    }
  });

  test('measures anew, and with the same result, how many lanes run at the full rate', async () => {
    const rates = [];
    for (let i = 0; i < 5; i++) {
      await using device = await openNativeDevice({ threads: 2 });
      const { lanes, fullRateLanes } = device.caps;
      expect([lanes[0], (lanes[0] ?? 0) / 2]).toContain(fullRateLanes);
      rates.push(fullRateLanes);
    }
    expect(new Set(rates).size).toBe(1);
  });

  test('runs two executables at once, one after the other', async () => {
    await using device = await openNativeDevice({ threads: 2 });
    const lanes = device.caps.lanes[0] ?? 4;
    const executables = await Promise.all([1, 2].map(() => device.compile(twoStepProgram(64, lanes))));
    for (const executable of executables) executable.view('arena').fill(1);
    await Promise.all(
      executables.flatMap((executable) => Array.from({ length: 50 }, () => executable.run())),
    );
    for (const executable of executables) {
      expect([...executable.view('arena').subarray(2 * 64 * lanes)]).toEqual(new Array(64 * lanes).fill(3));
    }
  });
});

/** `count` steps of one kernel with four tasks, each of which `body` changes the four floats at `at` of. */
function inPlace(count: number, body: (b: KernelBuilder, y: Buffer, at: Value) => void): Program {
  const b = new KernelBuilder({ name: 'in_place', description: 'changes y', lanes: 4, tasks: 4 });
  body(b, b.inout('y'), b.mul(b.task, 4));
  const step = { kernel: 0, slots: [{ region: 'arena' as const, offset: 0 }], label: 'in place' };
  return {
    kernels: [b.build()],
    steps: Array.from({ length: count }, () => step),
    prepare: [],
    sizes: { weights: 0, arena: 16, staging: 0 },
  };
}

/** `rounds` steps that each take a while: y = √(y + 1), again and again. */
function slowProgram(rounds: number): Program {
  return inPlace(rounds, (b, y, at) => {
    b.for(0, 200_000, 1, () => b.store(y, at, b.sqrt(b.add(b.loadVec(y, at), 1))));
  });
}

/** `count` steps that take next to no time: y = y + 1. */
function tinySteps(count: number): Program {
  return inPlace(count, (b, y, at) => b.store(y, at, b.add(b.loadVec(y, at), 1)));
}

describe('native cache and compiler', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    syncBuiltinESMExports();
    await rm(folder, { recursive: true });
  });

  /** A stand-in for the compiler. `cases` are of what it is called with; the rest is up to the real one. */
  async function standIn(cases: string, name = 'cc'): Promise<string> {
    const file = path.join(folder, name);
    await writeFile(file, `#!/bin/sh\nPATH='${process.env.PATH ?? ''}'\n${cases}\nexec cc "$@"\n`);
    await chmod(file, 0o755);
    return file;
  }

  async function checkRuns(cacheDirectory: string): Promise<string> {
    await using device = await openNativeDevice({ threads: 1, cacheDirectory });
    const executable = await device.compile(twoStepProgram(8, 4));
    executable.view('arena').fill(1);
    await executable.run();
    expect([...executable.view('arena').subarray(2 * 32)]).toEqual(new Array(32).fill(3));
    return device.note;
  }

  test.skipIf(!isHere).each([
    ['corrupted', (file: string) => writeFile(file, 'not a library')],
    ['truncated', (file: string) => truncate(file, 100)],
    ['removed', (file: string) => rm(file)],
  ])('a %s library is made again', async (_, damage) => {
    await checkRuns(folder);
    const libraries = (await readdir(folder)).filter((name) => name.endsWith('.so'));
    expect(libraries.length).toBe(3);
    const before = await Promise.all(libraries.map((name) => readFile(path.join(folder, name))));
    // Replaced, not written into: the libraries of this process are still mapped.
    for (const [i, name] of libraries.entries()) {
      const file = path.join(folder, name);
      await rm(file);
      await writeFile(file, before[i] ?? '');
      await damage(file);
    }
    await checkRuns(folder);
    expect((await readdir(folder)).length).toBe(6);
  });

  test.skipIf(!isHere)(
    'a folder that cannot be used is replaced by a temporary one of the user, and the note says so',
    async () => {
      const file = path.join(folder, 'file');
      await writeFile(file, 'x');
      const wanted = path.join(file, 'below');
      const temporary = path.join(folder, 'temporary');
      await mkdir(temporary);
      vi.stubEnv('TMPDIR', temporary);
      const own = path.join(temporary, `widefield-${userInfo().uid}`);
      for (let i = 0; i < 2; i++) {
        const note = `cache folder ${wanted} cannot be written (ENOTDIR), using ${own}`;
        expect(await checkRuns(wanted)).toMatch(new RegExp(`${note.replace(/[()]/g, '\\$&')}$`));
      }
      expect(await readdir(temporary)).toEqual([path.basename(own)]);
      expect((await readdir(own)).length).toBe(6);
      // What somebody else may have put there is not used.
      await rm(own, { recursive: true });
      await symlink(folder, own);
      expect(await checkRuns(wanted)).toContain(`using ${own.replace(/\d+$/, '')}`);
      expect((await readdir(temporary)).length).toBe(2);
      vi.stubEnv('TMPDIR', path.join(file, 'nowhere'));
      await expect(openNativeDevice({ cacheDirectory: wanted })).rejects.toMatchObject({
        code: 'io',
        message: `The cache folder ${wanted} cannot be written (ENOTDIR), nor can ${file}/nowhere (ENOTDIR).`,
      });
    },
  );

  test.skipIf(!isHere)('a full folder is replaced too, and nothing is left in it', async () => {
    const wanted = path.join(folder, 'wanted');
    const temporary = path.join(folder, 'temporary');
    await mkdir(temporary);
    vi.stubEnv('TMPDIR', temporary);
    const full = [wanted];
    const write = fs.writeFile;
    vi.spyOn(fs, 'writeFile').mockImplementation(async (file, data, ...rest) => {
      const isFull = typeof file === 'string' && full.some((place) => file.startsWith(place));
      if (!isFull) return write(file, data, ...rest);
      // A block of the disk is left: what fits is written before the system complains.
      await write(file, Buffer.from(data as Uint8Array).subarray(0, 4096), ...rest);
      if ((data as Uint8Array).length > 4096) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    });
    syncBuiltinESMExports();
    expect(await checkRuns(wanted)).toContain(
      `cache folder ${wanted} cannot be written (ENOSPC), using ${temporary}`,
    );
    expect(await readdir(wanted)).toEqual([]);
    full.push(temporary);
    await expect(openNativeDevice({ cacheDirectory: wanted })).rejects.toMatchObject({
      code: 'io',
      message: `The cache folder ${wanted} cannot be written (ENOSPC), nor can ${temporary} (ENOSPC).`,
    });
  });

  test.skipIf(!isHere || process.getuid === undefined)(
    'a user whom the system does not know has a folder among the temporary ones',
    async () => {
      vi.stubEnv('TMPDIR', folder);
      vi.spyOn(os, 'userInfo').mockImplementation(() => {
        throw new Error('no such user');
      });
      syncBuiltinESMExports();
      vi.doMock('env-paths', () => {
        throw new Error('no such user');
      });
      try {
        await using device = await openNativeDevice({ threads: 1 });
        expect(device.note).toContain('; cache folder of this user cannot be written (');
        expect(device.note).toContain(`using ${path.join(folder, `widefield-${process.getuid?.()}`)}`);
      } finally {
        vi.doUnmock('env-paths');
      }
    },
  );

  test.skipIf(!isHere)('a folder may be relative, and stays where it is', async () => {
    const wanted = path.relative('.', folder);
    await checkRuns(wanted);
    expect((await readdir(folder)).length).toBe(6);
    vi.spyOn(process, 'cwd').mockReturnValue(folder);
    await checkRuns('.');
    expect((await readdir(folder)).length).toBe(6);
  });

  test.skipIf(!isHere)('a compiler that cannot link is none, and the next one is taken', async () => {
    const compiler = await standIn('case "$*" in *-pthread*) echo "ld: error: no libc" >&2; exit 1 ;; esac');
    const cacheDirectory = path.join(folder, 'cache');
    await expect(openNativeDevice({ compiler, cacheDirectory })).rejects.toMatchObject({
      code: 'unsupported',
      message: `No working C compiler (${compiler} failed: ld: error: no libc); install gcc or clang for native speed.`,
    });
    await standIn('', 'gcc');
    vi.stubEnv('PATH', `${folder}${path.delimiter}${process.env.PATH ?? ''}`);
    await checkRuns(cacheDirectory);
  });

  test('a compiler that does not answer is none', { timeout: 30_000 }, async () => {
    const compiler = await standIn('cat; sleep 60');
    await expect(openNativeDevice({ compiler, cacheDirectory: folder })).rejects.toMatchObject({
      code: 'unsupported',
      message: `No working C compiler (${compiler} does not answer within 10 s); install gcc or clang for native speed.`,
    });
  });

  test.skipIf(!isHere)('what cannot be loaded is unsupported', async () => {
    const garbage = 'while [ "$1" != -o ]; do shift; done; echo garbage > "$2"; exit';
    const compiler = await standIn(`case "$*" in *-pthread*) ${garbage} ;; esac`);
    const opening = openNativeDevice({ compiler, cacheDirectory: path.join(folder, 'cache') });
    await expect(opening).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/^Native code cannot be loaded here \(/) as string,
    });
  });

  test('opening can be cancelled', async () => {
    const compiler = await standIn('exec sleep 60');
    for (const signal of [AbortSignal.abort(), AbortSignal.timeout(50)]) {
      await expect(openNativeDevice({ compiler, signal })).rejects.toMatchObject({ code: 'aborted' });
    }
  });

  test.skipIf(!isHere)(
    'devices that compile the same kernels at once, in one fresh folder, all work',
    async () => {
      await Promise.all([1, 2, 3, 4].map(() => checkRuns(folder)));
      expect((await readdir(folder)).length, 'libraries and checksums, no leftovers').toBe(6);
    },
  );

  test('without a compiler, native is unsupported and auto is WebAssembly', async () => {
    const compiler = '/nonexistent/cc';
    const wanted = {
      code: 'unsupported',
      message: expect.stringContaining('install gcc or clang') as string,
    };
    await expect(openDevice('native', { compiler })).rejects.toMatchObject(wanted);
    await using device = await openDevice('auto', { compiler, threads: 1 });
    expect(device.caps.name).toBe('wasm');
    expect(device.note).toContain('/nonexistent/cc');
  });

  test('where neither device works, both reasons are told', async () => {
    const compiler = '/nonexistent/cc';
    await expect(openDevice('auto', { compiler, threads: 100 })).rejects.toThrow(
      /^Neither native code \(.*\/nonexistent\/cc.*\) nor WebAssembly \(threads .* got 100\) works here\.$/,
    );
    await expect(openDevice('auto', { threads: 0 })).rejects.toThrow(/from 1 to 1024, got 0/);
  });

  test.skipIf(!isHere).each([
    ['In file included from somewhere', 'x.c:1:1: error: broken'],
    // As where the disk has filled up since the device was opened.
    ['', 'ld: final link failed: No space left on device', 'collect2: error: ld returned 1 exit status'],
  ])('a compiler that fails is quoted, and nothing stays behind', async (before, cause, after = '') => {
    const said = `printf '%s\\n' '${before}' '${cause}' '${after}' >&2; exit 1`;
    const compiler = await standIn(`case "$*" in --version|*-dM*|*-pthread*) ;; *) ${said} ;; esac`);
    const cacheDirectory = path.join(folder, 'cache');
    await using device = await openNativeDevice({ threads: 1, compiler, cacheDirectory });
    const files = await readdir(cacheDirectory);
    await expect(device.compile(twoStepProgram(8, 4))).rejects.toMatchObject({
      code: 'compile-failed',
      message: `${compiler} failed: ${cause}`,
    });
    expect(await readdir(cacheDirectory)).toEqual(files);
  });

  test.skipIf(!isHere)('once a kernel has failed, no other is begun', async () => {
    const log = path.join(folder, 'log');
    const isKernel = `echo x >> '${log}'; if mkdir '${log}.first'; then exit 1; else sleep 0.1; fi`;
    const compiler = await standIn(`case "$*" in --version|*-dM*|*-pthread*) ;; *) ${isKernel} ;; esac`);
    await using device = await openNativeDevice({ threads: 1, compiler, cacheDirectory: folder });
    const counts = Array.from({ length: 4 * availableParallelism() }, (_, i) => 1 + i);
    const kernels = counts.flatMap((tasks) => twoStepProgram(tasks, 4).kernels.slice(1));
    const program = { ...twoStepProgram(1, 4), kernels, steps: [] };
    await expect(device.compile(program)).rejects.toMatchObject({ code: 'compile-failed' });
    const begun = (await readFile(log, 'utf8')).length / 2;
    expect(begun).toBeGreaterThan(0);
    expect(begun).toBeLessThan(kernels.length);
  });

  test.skipIf(!isHere)('compiling can be cancelled', async () => {
    const compiler = path.join(folder, 'cc');
    const script =
      '#!/bin/sh\ncase "$*" in --version|*-dM*|*-pthread*) exec cc "$@" ;; esac\nexec sleep 60\n';
    await writeFile(compiler, script);
    await chmod(compiler, 0o755);
    const cacheDirectory = path.join(folder, 'cache');
    await using device = await openNativeDevice({ threads: 1, compiler, cacheDirectory });
    const before = await readdir(cacheDirectory);
    const aborted = { code: 'aborted' };
    const options = { signal: AbortSignal.timeout(100) };
    await expect(device.compile(twoStepProgram(8, 4), options)).rejects.toMatchObject(aborted);
    await expect(device.compile(twoStepProgram(8, 4), { signal: AbortSignal.abort() })).rejects.toMatchObject(
      aborted,
    );
    expect(await readdir(cacheDirectory)).toEqual(before);
  });
});

describe.skipIf(!isHere)('native device, used for long and wrongly', () => {
  test('brief runs in a row do not keep timers waiting', async () => {
    await using device = await openNativeDevice({ threads: 2 });
    const executable = await device.compile(twoStepProgram(4, device.caps.lanes[0] ?? 4));
    let fired = false;
    setTimeout(() => {
      fired = true;
    }, 20);
    const deadline = performance.now() + 60_000;
    while (!fired && performance.now() < deadline) await executable.run();
    expect(fired).toBe(true);
  });

  test('a run can be cancelled, and the next one works', async () => {
    await using device = await openNativeDevice({ threads: 2 });
    const rounds = 3000;
    const executable = await device.compile(slowProgram(rounds));
    const running = executable.run({ signal: AbortSignal.timeout(50) });
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
    await expect(executable.run({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' });
    const short = await device.compile(slowProgram(1));
    await short.run();
    // The fixed point of √(y + 1) is the golden ratio.
    expect(short.view('arena')[0]).toBeCloseTo((1 + Math.sqrt(5)) / 2, 6);
  });

  test('a run that waits for another can be cancelled at once', async () => {
    await using device = await openNativeDevice({ threads: 2 });
    const executable = await device.compile(slowProgram(3000));
    const [first, second] = [new AbortController(), new AbortController()];
    let hasEnded = false;
    const running = executable.run({ signal: first.signal }).finally(() => (hasEnded = true));
    const waiting = executable.run({ signal: second.signal });
    setTimeout(() => second.abort(), 5);
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    expect(hasEnded).toBe(false);
    first.abort();
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
  });

  test('runs of tiny steps can be cancelled at any moment', async () => {
    await using device = await openNativeDevice({ threads: 4 });
    const executable = await device.compile(tinySteps(4000));
    let cancelled = 0;
    for (let i = 0; i < 150; i++) {
      const signal = AbortSignal.timeout(1 + (i % 3));
      await executable.run({ signal }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'aborted' });
        cancelled++;
      });
    }
    expect(cancelled).toBeGreaterThan(0);
    const short = await device.compile(tinySteps(3));
    await short.run();
    expect([...short.view('arena')]).toEqual(new Array(16).fill(3));
  });

  test('brief preparations do not make a long run block the event loop', async () => {
    await using device = await openNativeDevice({ threads: 2 });
    const slow = slowProgram(300);
    const { kernels, steps } = tinySteps(1);
    const prepare = [steps.map((step) => ({ ...step, kernel: slow.kernels.length }))];
    const executable = await device.compile({ ...slow, kernels: [...slow.kernels, ...kernels], prepare });
    for (let i = 0; i < 20; i++) await executable.prepare(0);
    const running = executable.run({ signal: AbortSignal.timeout(10) });
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
  });

  test('a run that was cancelled early does not make the next one block the event loop', async () => {
    await using device = await openNativeDevice({ threads: 2 });
    const slow = slowProgram(300);
    const { kernels, steps } = tinySteps(20_000);
    const first = steps.map((step) => ({ ...step, kernel: slow.kernels.length }));
    const executable = await device.compile({
      ...slow,
      kernels: [...slow.kernels, ...kernels],
      steps: [...first, ...slow.steps],
    });
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController();
      const cancelled = executable.run({ signal: controller.signal });
      // It begins a few microtasks later.
      for (let j = 0; j < 20; j++) await Promise.resolve();
      controller.abort();
      await expect(cancelled).rejects.toMatchObject({ code: 'aborted' });
      const running = executable.run({ signal: AbortSignal.timeout(10) });
      await expect(running).rejects.toMatchObject({ code: 'aborted' });
    }
  });

  test('memory may be larger than 4 GiB, and what is too large is named', async () => {
    await using device = await openNativeDevice({ threads: 1 });
    const program = twoStepProgram(4, 4);
    const far = 2 ** 30;
    const steps = program.steps.map((step) => ({
      ...step,
      slots: step.slots.map((slot) => ({ ...slot, offset: far + slot.offset })),
    }));
    const executable = await device.compile({
      ...program,
      steps,
      sizes: { ...program.sizes, arena: far + 48 },
    });
    executable.view('arena').fill(1, far);
    await executable.run();
    expect([...executable.view('arena').subarray(far + 32)]).toEqual(new Array(16).fill(3));
    const arena = 2 ** 48;
    await expect(device.compile({ ...program, sizes: { ...program.sizes, arena } })).rejects.toMatchObject({
      code: 'out-of-memory',
      message: expect.stringContaining(`needs ${2 ** 30 + 1} MiB`) as string,
    });
  });

  test('buffers may have any name, and remarks any text', async () => {
    const b = new KernelBuilder({ name: 'names', description: 'a */ b\n"c"', lanes: 4, tasks: 2 });
    const [task, vec, output] = [b.input('task'), b.scratch('vec', 8), b.output('buffers')];
    const table = b.table('LANES', Float32Array.of(1, 2, 3, 4));
    const at = b.mul(b.task, 4);
    const sum = b.variable(b.loadVec(task, at), 'float');
    const t = b.input('t3');
    b.comment('*/ # \r\n');
    sum.set(b.add(b.mul(sum.get(), b.loadVec(t, 0)), b.loadVec(table, 0)));
    b.store(vec, 0, sum.get());
    b.store(output, at, b.add(b.loadVec(vec, 0), sum.get()));
    const kernel = b.build();
    const buffers = {
      task: new Random('x').array(8),
      t3: new Random('t').array(4),
      buffers: new Float32Array(8),
    };
    interpret(kernel, buffers);

    await using device = await openNativeDevice({ threads: 1 });
    const slots = [0, 16, 32].map((offset) => ({ region: 'arena' as const, offset }));
    const executable = await device.compile({
      kernels: [kernel],
      steps: [{ kernel: 0, slots, label: 'names' }],
      prepare: [],
      sizes: { weights: 0, arena: 48, staging: 0 },
    });
    const arena = executable.view('arena');
    kernel.buffers.forEach(({ name }, i) => {
      if (name !== 'buffers') arena.set(buffers[name as keyof typeof buffers], 16 * i);
    });
    await executable.run();
    buffers.buffers.forEach((value, i) => {
      expect(arena[16 + i]).toBeCloseTo(value, 5);
    });
  });

  test('opens and closes twenty times, with runs under way', async () => {
    for (let i = 0; i < 20; i++) {
      const device = await openNativeDevice({ threads: 3 });
      const executable = await device.compile(twoStepProgram(16, 4));
      executable.view('arena').fill(1);
      const running = executable.run();
      await device.dispose();
      await running;
      await device.dispose();
    }
  });

  test('what is disposed of says so', async () => {
    const device = await openNativeDevice({ threads: 1 });
    const executable = await device.compile(twoStepProgram(16, 4));
    await executable.dispose();
    await executable.dispose();
    const lost = { code: 'device-lost', message: expect.stringContaining('has been disposed of') as string };
    await expect(executable.run()).rejects.toMatchObject(lost);
    await expect(executable.prepare(0)).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(() => executable.view('arena')).toThrow('has been disposed of');
    await device.dispose();
    await expect(device.compile(twoStepProgram(16, 4))).rejects.toMatchObject(lost);
  });

  test('await using disposes of executables', async () => {
    await using device = await openNativeDevice({ threads: 1 });
    const compiled = await device.compile(twoStepProgram(16, 4));
    {
      await using executable = compiled;
      await executable.run();
    }
    await expect(compiled.run()).rejects.toMatchObject({ code: 'device-lost' });
  });

  test('a device that is disposed of while it compiles refuses the program', async () => {
    const device = await openNativeDevice({ threads: 2 });
    const compiling = device.compile(slowProgram(2));
    const refused = expect(compiling).rejects.toMatchObject({ code: 'device-lost' });
    await device.dispose();
    await refused;
  });

  test.each([0, 1.5, -1, 5000, NaN])('%d threads are refused', async (threads) => {
    await expect(openNativeDevice({ threads })).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  test('a thousand runs leave the memory as it was', async () => {
    await using device = await openNativeDevice({ threads: 2 });
    const [lanes = 4] = device.caps.lanes;
    const executable = await device.compile(twoStepProgram(2 ** 16 / lanes, lanes));
    // A fortieth part of it, lost in each run, would be too much.
    expect(executable.view('arena').byteLength / 2 ** 20, 'MiB').toBeCloseTo(0.75);
    for (let i = 0; i < 300; i++) await executable.run();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 1000; i++) await executable.run();
    expect((process.memoryUsage().rss - before) / 2 ** 20, 'MiB').toBeLessThan(16);
  });
});
