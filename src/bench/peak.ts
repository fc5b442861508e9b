import { KernelBuilder } from '../codegen/builder.ts';
import type { Device } from '../devices/device.ts';

/** Independent sums: enough to hide the latency of an addition, few enough for the registers. */
const accumulators = (registers: number): number => (registers >= 32 ? 24 : 12);
/** Vectors that the sums take in turn: few enough for the first cache. */
const VECTORS = 64;
const ROUNDS = 32;
/** Tasks of a thread times lanes: a run takes about a millisecond, beside which starting it does not count. */
const TASK_LANES = 1024;
/** Long enough for engines that first run unoptimised code. */
const MEASURE_MS = 500;

/**
 * The machine's multiply-add peak as this device's kernels can reach it, in GFLOP/s: products added to sums in registers
 * on all threads, the best of many runs of about a millisecond. Products do not depend on sums, as in the kernels of a
 * network: where a multiply-add is two instructions, a sum waits for an addition only.
 */
export async function measurePeak(device: Device): Promise<number> {
  const [lanes = 4] = device.caps.lanes;
  const sums = accumulators(device.caps.vectorRegisters);
  const tasks = Math.ceil(TASK_LANES / lanes) * device.caps.threads;
  const b = new KernelBuilder({
    name: 'fma_peak',
    description: `${sums} independent sums of products in registers`,
    lanes,
    tasks,
  });
  const x = b.input('x');
  const y = b.output('y');
  const factor = b.loadVec(x, 0);
  // Sums that begin alike would be one to a compiler.
  const chains = Array.from({ length: sums }, (_, i) => b.variable(b.loadVec(x, i), 'sum'));
  b.for(0, ROUNDS, 1, () => {
    b.for(0, VECTORS, 1, (i) => {
      const other = b.loadVec(x, b.mul(i, lanes));
      for (const chain of chains) chain.set(b.fma(factor, other, chain.get()));
    });
  });
  const total = chains.map((chain) => chain.get()).reduce((sum, value) => b.add(sum, value));
  b.store(y, b.mul(b.task, lanes), total);
  const inputFloats = VECTORS * lanes;
  const executable = await device.compile({
    kernels: [b.build()],
    steps: [
      {
        kernel: 0,
        slots: [
          { region: 'arena', offset: 0 },
          { region: 'arena', offset: inputFloats },
        ],
        label: 'fma peak',
      },
    ],
    prepare: [],
    sizes: { weights: 0, arena: inputFloats + tasks * lanes, staging: 0 },
  });
  try {
    executable.view('arena').fill(0.5);
    let best = Infinity;
    for (const end = performance.now() + MEASURE_MS; performance.now() < end;) {
      const begin = performance.now();
      await executable.run();
      best = Math.min(best, performance.now() - begin);
    }
    return (2 * sums * lanes * ROUNDS * VECTORS * tasks) / best / 1e6;
  } finally {
    await executable.dispose();
  }
}
