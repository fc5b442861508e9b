import { describe, expect, test } from 'vitest';

import { KernelBuilder } from '../../src/codegen/builder.ts';
import type { Program } from '../../src/devices/device.ts';
import { openNativeDevice } from '../../src/devices/native.ts';

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

describe('native device', () => {
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
