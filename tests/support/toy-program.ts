import { KernelBuilder } from '../../src/codegen/builder.ts';
import type { Program, Slot, Step } from '../../src/devices/device.ts';

/**
 * A program built by hand: `rounds` steps over `tasks` blocks of 16 floats, each reading what other tasks of the step
 * before wrote, from one buffer to another and back:
 *
 *   next[t] = here[t] + here[(t + 7) mod tasks] · weight
 *
 * `prepare` has two groups that unpack the weight: group 0 doubles what the host wrote to `staging`, group 1 adds 1
 * to what group 0 left in `weights`.
 */
export function toyProgram(tasks: number, rounds: number, lanes = 4): Program {
  const block = 16;
  const mix = new KernelBuilder({ name: 'mix', description: 'toy', lanes, tasks });
  {
    const here = mix.input('here');
    const weight = mix.input('weight');
    const next = mix.output('next');
    const copy = mix.scratch('copy', block);
    const mine = mix.mul(mix.task, block);
    const other = mix.mul(mix.rem(mix.add(mix.task, 7), tasks), block);
    mix.for(0, block, lanes, (i) => {
      mix.store(copy, i, mix.loadVec(here, mix.add(other, i)));
    });
    mix.for(0, block, lanes, (i) => {
      const at = mix.add(mine, i);
      const product = mix.mul(mix.loadVec(copy, i), mix.loadBroadcast(weight, 0));
      mix.store(next, at, mix.add(mix.loadVec(here, at), product));
    });
  }
  const double = new KernelBuilder({ name: 'double', description: 'toy', lanes, tasks: 1 });
  {
    const source = double.input('source');
    const target = double.output('target');
    double.store(target, 0, double.mul(double.loadScalar(source, 0), 2));
  }
  const increment = new KernelBuilder({ name: 'increment', description: 'toy', lanes, tasks: 1 });
  {
    const target = increment.inout('target');
    increment.store(target, 0, increment.add(increment.loadScalar(target, 0), 1));
  }
  const floats = tasks * block;
  const weight: Slot = { region: 'weights', offset: 16 };
  const slots = [0, 1].map((i): Slot => ({ region: 'arena', offset: i * floats }));
  const [even, odd] = slots as [Slot, Slot];
  return {
    kernels: [mix.build(), double.build(), increment.build()],
    steps: Array.from({ length: rounds }, (_, round): Step => {
      const [here, next] = round % 2 === 0 ? [even, odd] : [odd, even];
      return { kernel: 0, slots: [here, weight, next], label: `round ${round}` };
    }),
    prepare: [
      [{ kernel: 1, slots: [{ region: 'staging', offset: 0 }, weight], label: 'double' }],
      [{ kernel: 2, slots: [weight], label: 'increment' }],
    ],
    sizes: { weights: 32, arena: 2 * floats, staging: 16 },
  };
}

/** What the program leaves in the arena after one run, by the formula, in float32. */
export function toyResult(tasks: number, rounds: number, weight: number, start: Float32Array): Float32Array {
  let here = start.slice(0, tasks * 16);
  for (let round = 0; round < rounds; round++) {
    here = here.map((value, i) => {
      const product = Math.fround((here[(i + 7 * 16) % here.length] ?? NaN) * weight);
      return Math.fround(value + product);
    });
  }
  return here;
}
