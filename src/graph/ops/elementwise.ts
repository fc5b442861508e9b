import { invalidArgument } from '../../core/errors.ts';
import type { ElementwiseProblem, ElementwiseStep } from '../../kernels/problem.ts';
import { checkActivation } from '../../kernels/validate.ts';
import type { Node } from '../graph.ts';
import type { ElementwiseOp, GradientContext, NodeOf, OpDefinition } from '../op.ts';
import { commonShape, rowsOf } from './shape-rules.ts';
import { activate } from '../activations.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** A chain on every element: value = x, then each step in turn; steps with an operand take `x1`, `x2`, … in order. */
export function elementwise(problem: ElementwiseProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitch, steps } = problem;
  const x = tensorNamed(inputs, 'x');
  const y = new Float64Array(rows * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    for (let c = 0; c < channels; c++) {
      let value = at(x, row + c);
      let next = 1;
      const operand = (): number => at(tensorNamed(inputs, `x${next++}`), row + c);
      for (const step of steps) {
        switch (step.kind) {
          case 'add':
            value += operand();
            break;
          case 'sub':
            value -= operand();
            break;
          case 'mul':
            value *= operand();
            break;
          case 'activation':
            value = activate(step.activation, value);
            break;
          case 'affine':
            value = value * step.scale + step.shift;
            break;
        }
      }
      y[row + c] = value;
    }
  }
  return y;
}

export const elementwiseDefinition: OpDefinition<ElementwiseOp> = {
  shape({ steps }, inputs) {
    for (const step of steps) if (step.kind === 'activation') checkActivation(step.activation);
    const binary = steps.filter(takesOperand).length;
    if (inputs.length !== binary + 1) {
      throw invalidArgument(`This element-wise chain takes ${binary + 1} inputs, got ${inputs.length}.`);
    }
    return commonShape('element-wise chain', inputs);
  },
  lower: ({ steps }, { inputs, output, pitch }) => ({
    problem: {
      op: 'elementwise',
      rows: rowsOf(output),
      channels: output[3],
      pitch: pitch(output[3]),
      steps,
    },
    inputs: inputs.map((_, i) => (i === 0 ? 'x' : `x${i}`)),
  }),
  /** Back through the steps, last first; values between them are computed again. */
  gradient(node, dy, g) {
    const { steps } = node.op;
    const inputs: (Node | undefined)[] = node.inputs.map(() => undefined);
    let gradient = dy;
    for (let i = steps.length - 1; i >= 0; i--) {
      const step = steps[i];
      if (step === undefined) continue;
      const index = operandsOf(steps.slice(0, i + 1));
      const operand = takesOperand(step) ? node.inputs[index] : undefined;
      if (operand !== undefined && g.wantsInput(index)) {
        inputs[index] = operandGradient(step, gradient, () => valueBefore(node, i, g), g);
      }
      const flowsOn = node.inputs.some((_, j) => j < index + (takesOperand(step) ? 0 : 1) && g.wantsInput(j));
      if (!flowsOn) return { inputs, parameters: {} };
      gradient = valueGradient(step, node, i, gradient, g);
    }
    inputs[0] = g.wantsInput(0) ? gradient : undefined;
    return { inputs, parameters: {} };
  },
};

function takesOperand({ kind }: ElementwiseStep): boolean {
  return kind === 'add' || kind === 'mul' || kind === 'sub';
}

function operandsOf(steps: readonly ElementwiseStep[]): number {
  return steps.filter(takesOperand).length;
}

/** The value before step i. */
function valueBefore(node: NodeOf<ElementwiseOp>, i: number, g: GradientContext): Node {
  const [x] = node.inputs;
  if (x === undefined) throw invalidArgument(`${node.name} needs an input.`);
  if (i === 0) return x;
  const steps = node.op.steps.slice(0, i);
  return g.make({ type: 'elementwise', steps }, node.inputs.slice(0, operandsOf(steps) + 1));
}

function operandGradient(step: ElementwiseStep, dy: Node, value: () => Node, g: GradientContext): Node {
  if (step.kind === 'add') return dy;
  if (step.kind === 'mul') return g.make({ type: 'elementwise', steps: [step] }, [dy, value()]);
  return g.make({ type: 'elementwise', steps: [{ kind: 'affine', scale: -1, shift: 0 }] }, [dy]);
}

/** The gradient to the value before step i, of that to the value after it. */
function valueGradient(
  step: ElementwiseStep,
  node: NodeOf<ElementwiseOp>,
  i: number,
  dy: Node,
  g: GradientContext,
): Node {
  switch (step.kind) {
    case 'add':
    case 'sub':
      return dy;
    case 'mul': {
      const operand = node.inputs[operandsOf(node.op.steps.slice(0, i + 1))];
      if (operand === undefined) throw invalidArgument(`${node.name} needs an operand for each step.`);
      return g.make({ type: 'elementwise', steps: [step] }, [dy, operand]);
    }
    case 'affine':
      return g.make({ type: 'elementwise', steps: [{ ...step, shift: 0 }] }, [dy]);
    case 'activation': {
      const { activation } = step;
      if (activation === 'none') return dy;
      // The derivatives of relu and relu6 follow from their results too, which the next layer keeps anyway.
      const isLast = i === node.op.steps.length - 1;
      const fromResult = isLast && (activation === 'relu' || activation === 'relu6');
      const x = fromResult ? node : valueBefore(node, i, g);
      return g.make({ type: 'activation-gradient', activation }, [x, dy]);
    }
  }
}
