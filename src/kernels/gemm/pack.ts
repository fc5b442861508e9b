import { KernelBuilder } from '../../codegen/builder.ts';
import type { Kernel } from '../../codegen/ir.ts';
import { kernelName } from '../family.ts';
import { emitPacking, panelCount } from './panels.ts';
import type { Panels } from './panels.ts';

/** Packs the weight `name` [outputs, inputs] of a product into panels, from `offset` on. */
export function packProduct(
  name: string,
  panels: Panels,
  offset: number,
  outputs: number,
  inputs: number,
): Kernel {
  const b = new KernelBuilder({
    name: kernelName('pack', name, `${inputs}x${outputs}`, `v${panels.vectors}`, `l${panels.lanes}`),
    description: `packs weights [${outputs}, ${inputs}] into panels of ${panels.vectors} vectors`,
    lanes: panels.lanes,
    tasks: panelCount(panels),
  });
  emitPacking(b, b.input(name), b.output('packed'), panels, outputs, undefined, inputs, offset);
  return b.build();
}

/** Copies the weight `name` [length] to `offset`. */
export function packVector(name: string, length: number, offset: number): Kernel {
  const b = new KernelBuilder({
    name: kernelName('pack', name, length),
    description: `copies ${name} [${length}] into packed`,
    lanes: 4,
    tasks: 1,
  });
  const vector = b.input(name);
  const packed = b.output('packed');
  b.for(0, length, 1, (c) => b.store(packed, c, b.loadScalar(vector, c), offset));
  return b.build();
}
