import { emitC } from './c.ts';
import type { Kernel } from './ir.ts';

/** A text that two kernels share exactly if they are the same code, whatever their names. */
export function kernelIdentity(kernel: Kernel): string {
  return `${kernel.tasks} tasks\n${emitC({ ...kernel, name: 'kernel', description: '' })}`;
}
