import { expect, test } from 'vitest';

import { emitWasm } from '../../../src/codegen/wasm/emit.ts';
import { KernelBuilder } from '../../../src/codegen/builder.ts';
import { layOut } from '../../../src/devices/wasm/layout.ts';
import { MemoryPool } from '../../../src/devices/wasm/memory.ts';
import { ThreadPool } from '../../../src/devices/wasm/thread-pool.ts';
import { spawnWorker } from '../../../src/devices/wasm/worker-host.ts';
import type { WorkerHost } from '../../../src/devices/wasm/worker-host.ts';

const THREADS = 3;

/** A program whose one task runs for minutes on one thread, while the others wait at the barrier. */
function endless() {
  const b = new KernelBuilder({ name: 'endless', description: 'never ends', lanes: 4, tasks: 1 });
  const out = b.output('out');
  const sum = b.variable(b.f32(0));
  b.for(0, 2 ** 31 - 2, 1, () => {
    b.for(0, 2 ** 31 - 2, 1, (i) => {
      sum.set(b.add(b.mul(sum.get(), 0.5), b.toF32(i)));
    });
  });
  b.store(out, 0, sum.get());
  return layOut(
    {
      kernels: [b.build()],
      steps: [{ kernel: 0, slots: [{ region: 'arena', offset: 0 }], label: 'endless' }],
      prepare: [],
      sizes: { weights: 0, arena: 16, staging: 0 },
    },
    THREADS,
  );
}

for (const victim of Array.from({ length: THREADS }, (_, thread) => thread)) {
  test(`a run rejects when worker ${victim} of ${THREADS} dies, whatever the others do`, async () => {
    const hosts: WorkerHost[] = [];
    const pool = await ThreadPool.open(THREADS, (source, events) => {
      const host = spawnWorker(source, events);
      hosts.push(host);
      return host;
    });
    const layout = endless();
    const memories = new MemoryPool(true);
    const bytes = emitWasm(
      { ...layout.program, memory: memories.describe(layout.bytes) },
      { relaxed: false },
    );
    const module = await WebAssembly.compile(bytes);
    const memory = memories.take(layout.guard, layout.bytes);
    const runner = await pool.attach(module, memory, layout.program.control);
    setTimeout(() => {
      void hosts[victim]?.terminate();
    }, 30);
    const lost = { code: 'device-lost', message: expect.stringMatching(/open the device again/) as string };
    await expect(runner.run(0, 1, undefined)).rejects.toMatchObject(lost);
    // So does everything after it.
    await expect(runner.run(0, 1, undefined)).rejects.toMatchObject(lost);
    await expect(pool.attach(module, memory, layout.program.control)).rejects.toMatchObject(lost);
    await pool.dispose();
  });
}

test('an attachment that the engine refused is forgotten by all workers before it rejects', async () => {
  const answers: string[] = [];
  const pool = await ThreadPool.open(THREADS, (source, events) =>
    spawnWorker(source, {
      ...events,
      message: (data) => {
        answers.push((data as { type: string }).type);
        events.message(data);
      },
    }),
  );
  // It wants a memory of two pages, and shared.
  const layout = endless();
  const memories = new MemoryPool(true);
  const module = await WebAssembly.compile(
    emitWasm({ ...layout.program, memory: memories.describe(layout.bytes) }, { relaxed: false }),
  );
  answers.length = 0;
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  await expect(pool.attach(module, memory, 0)).rejects.toMatchObject({ code: 'compile-failed' });
  expect([...answers].sort()).toEqual([
    ...Array.from({ length: THREADS }, () => 'ready'),
    ...Array.from({ length: THREADS }, () => 'refused'),
  ]);
  await pool.dispose();
});

test('a pool does not open if a worker cannot start', async () => {
  let started = 0;
  const opening = ThreadPool.open(2, (source, events) => {
    if (started++ === 1) throw new Error('no more threads');
    return spawnWorker(source, events);
  });
  await expect(opening).rejects.toMatchObject({
    code: 'device-lost',
    message: expect.stringMatching(/no more threads/) as string,
  });
});

test('a pool does not open if a worker dies while it starts', async () => {
  const opening = ThreadPool.open(2, (_source, events) =>
    spawnWorker('throw new Error("bad start")', events),
  );
  await expect(opening).rejects.toMatchObject({
    code: 'device-lost',
    message: expect.stringMatching(/bad start/) as string,
  });
});
