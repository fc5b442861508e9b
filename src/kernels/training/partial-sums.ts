import { KernelBuilder } from '../../codegen/builder.ts';
import type { Kernel } from '../../codegen/ir.ts';
import { kernelName } from '../family.ts';

/** Floats that a task adds. */
const BLOCK = 4096;

/** Adds `parts` rows of `floats` in `temp`, always in the same order, to one row of `y`. */
export function emitPartialSums(parts: number, floats: number, lanes: number): Kernel {
  const b = new KernelBuilder({
    name: kernelName('partial_sums', `${parts}x${floats}`, `l${lanes}`),
    description: `adds ${parts} parts of a gradient of ${floats} floats`,
    lanes,
    tasks: Math.ceil(floats / BLOCK),
  });
  const temp = b.input('temp');
  const y = b.output('y');
  const first = b.mul(b.task, BLOCK);
  const end = b.min(b.add(first, BLOCK), floats);
  const vectors = b.mul(b.div(b.sub(end, first), lanes), lanes);
  const vectorEnd = b.add(first, vectors);
  b.for(first, vectorEnd, lanes, (i) => {
    const sum = b.variable(b.loadVec(temp, i), 'sum');
    b.for(1, parts, 1, (part) => sum.set(b.add(sum.get(), b.loadVec(temp, b.add(b.mul(part, floats), i)))));
    b.store(y, i, sum.get());
  });
  b.for(vectorEnd, end, 1, (i) => {
    const sum = b.variable(b.loadScalar(temp, i), 'sum');
    b.for(1, parts, 1, (part) =>
      sum.set(b.add(sum.get(), b.loadScalar(temp, b.add(b.mul(part, floats), i)))),
    );
    b.store(y, i, sum.get());
  });
  return b.build();
}
