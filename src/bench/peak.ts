import { KernelBuilder } from '../codegen/builder.ts';
import type { Device } from '../devices/device.ts';

/** Independent sums: enough to hide the latency of a multiply-add, few enough for the registers. */
const accumulators = (registers: number): number => (registers >= 32 ? 24 : 13);
const TURNS = 2000;
const TASKS_PER_THREAD = 16;
/** Long enough for engines that first run unoptimised code. */
const MEASURE_MS = 500;

/**
 * The machine's multiply-add peak as this device's kernels can reach it, in GFLOP/s: register-only products
 * and sums on all threads, the best of many runs of about a millisecond.
 */
export async function measurePeak(device: Device): Promise<number> {
  const [lanes = 4] = device.caps.lanes;
  const sums = accumulators(device.caps.vectorRegisters);
  const tasks = TASKS_PER_THREAD * device.caps.threads;
  const b = new KernelBuilder({
    name: 'fma_peak',
    description: `${sums} independent chains of multiply-adds in registers`,
    lanes,
    tasks,
  });
  const factors = b.input('x');
  const y = b.output('y');
  const factor = b.loadVec(factors, 0);
  const addend = b.loadVec(factors, lanes);
  const chains = Array.from({ length: sums }, (_, i) => b.variable(b.loadVec(factors, i), 'sum'));
  b.for(0, TURNS, 1, () => {
    for (const chain of chains) chain.set(b.fma(chain.get(), factor, addend));
  });
  const total = chains.map((chain) => chain.get()).reduce((sum, value) => b.add(sum, value));
  b.store(y, b.mul(b.task, lanes), total);
  const inputFloats = 16 * Math.ceil((2 * lanes + sums) / 16);
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
    return (2 * sums * lanes * TURNS * tasks) / best / 1e6;
  } finally {
    await executable.dispose();
  }
}
