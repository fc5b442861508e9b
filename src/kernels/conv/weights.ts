import { KernelBuilder } from '../../codegen/builder.ts';
import type { Kernel } from '../../codegen/ir.ts';
import { panelCount, panelStride } from '../gemm/panels.ts';
import type { ConvProblem } from '../problem.ts';
import type { ConvPlan } from './plan.ts';

/**
 * Packs weight [outputs, inputs/groups, kernelHeight, kernelWidth] into panels whose depth runs over taps, then
 * inputs of a merged group. Weights between different groups, and padding, stay zero. One task a panel.
 * An adjoint takes [inputs, outputs/groups, kernelHeight, kernelWidth] and reads the taps in reverse.
 */
export function emitWeightPacking(problem: ConvProblem, plan: ConvPlan, name: string): Kernel {
  const { outputs, kernelHeight, kernelWidth, adjoint } = problem;
  const { panels, merged, groupInputs } = plan;
  const { lanes, vectors, fullPanels, lastVectors } = panels;
  const inputs = problem.inputs / problem.groups;
  const groupOutputs = outputs / problem.groups;
  const taps = kernelHeight * kernelWidth;
  const b = new KernelBuilder({
    name,
    description: `packs ${adjoint ? 'adjoint ' : ''}weights [${outputs}, ${inputs}, ${kernelHeight}, ${kernelWidth}] into panels of ${vectors} vectors`,
    lanes,
    tasks: panelCount(panels),
  });
  const weight = b.input('weight');
  const packed = b.output('packed');
  const width = vectors * lanes;
  const thisWidth = b.select(b.lt(b.task, fullPanels), width, lastVectors * lanes);
  const base = b.mul(b.task, panelStride(panels));
  const firstOutput = b.mul(b.task, width);
  const count = b.min(thisWidth, b.sub(outputs, firstOutput));
  b.for(0, inputs, 1, (input) => {
    b.for(0, count, 1, (j) => {
      const output = b.add(firstOutput, j);
      // Which of the merged groups the output belongs to.
      const anyGroup = b.div(output, groupOutputs);
      const group = b.rem(anyGroup, merged);
      const row = b.add(b.mul(group, inputs), input);
      const from = adjoint
        ? b.add(b.mul(b.add(b.mul(anyGroup, inputs), input), groupOutputs), b.rem(output, groupOutputs))
        : b.add(b.mul(output, inputs), input);
      const first = b.mul(from, taps);
      b.for(0, taps, 1, (tap) => {
        const to = b.add(b.add(base, b.mul(b.add(b.mul(tap, groupInputs), row), thisWidth)), j);
        const source = adjoint ? b.sub(b.add(first, taps - 1), tap) : b.add(first, tap);
        b.store(packed, to, b.loadScalar(weight, source));
      });
    });
  });
  return b.build();
}
