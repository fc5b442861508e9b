import { KernelBuilder } from '../codegen/builder.ts';
import type { Kernel } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from '../kernels/family.ts';

const TASK_FLOATS = 16 * 1024;

/** The kernel y += x over `floats` floats, a multiple of 16: gradients of several batches, summed. */
export function emitAccumulate(floats: number, caps: DeviceCaps): Kernel {
  const b = new KernelBuilder({
    name: kernelName('accumulate', floats),
    description: `y += x over ${floats} floats`,
    lanes: Math.max(...caps.lanes.filter((count) => count <= 16)),
    tasks: Math.ceil(floats / TASK_FLOATS),
  });
  const x = b.input('x');
  const y = b.inout('y');
  const start = b.mul(b.task, TASK_FLOATS);
  b.for(start, b.min(b.add(start, TASK_FLOATS), floats), b.lanes, (at) => {
    b.store(y, at, b.add(b.loadVec(y, at), b.loadVec(x, at)));
  });
  return b.build();
}
