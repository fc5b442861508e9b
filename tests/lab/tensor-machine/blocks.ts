import { Random } from '../../../src/core/random.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { evaluate } from '../../../src/graph/evaluate.ts';
import { elements } from '../../../src/graph/graph.ts';
import type { Graph, Node } from '../../../src/graph/graph.ts';
import { shapeOf } from '../../../src/lab/tensor-machine/machine.ts';
import type { Machine } from '../../../src/lab/tensor-machine/machine.ts';

/** Random values for everything that a machine reads from outside. */
export function randomInputs(machine: Machine): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(machine.tensors).flatMap(([name, tensor]) => {
      if (tensor.role !== 'input' && tensor.role !== 'weights') return [];
      return [
        [name, new Random(`tensor machine ${name}`).array(elements(shapeOf(machine, tensor)))] as const,
      ];
    }),
  );
}

/** What the machine should compute: the block as a network of plain layers, by the graph's float64 meaning. */
export function referenceOutput(
  machine: Machine,
  inputs: Readonly<Record<string, Float32Array>>,
): Float64Array {
  const values = (key: string): Float32Array => {
    const [layer = '', parameter] = key.split('.');
    const matrix = LAYER_TENSORS[layer];
    if (matrix === undefined) throw new Error(`No tensor for ${key}`);
    const [weight, bias] = matrix;
    if (parameter === 'bias') return tensor(inputs, bias);
    // Convolutions have [outputs, inputs, 1, 1] where products have [inputs, outputs].
    const shape = shapeOf(machine, machineTensor(machine, weight));
    return shape.length === 4 ? tensor(inputs, weight) : transpose(tensor(inputs, weight), shape);
  };
  const output = evaluate(referenceGraph(machine), tensor(inputs, 'X'), values).get('Y');
  if (output === undefined) throw new Error('The reference has no output');
  return output;
}

/** Weights and bias by layer of the reference. */
const LAYER_TENSORS: Readonly<Record<string, readonly [weight: string, bias: string]>> = {
  expand: ['U', 'a'],
  spatial: ['F', 'f'],
  squeeze: ['A', 'p'],
  excite: ['B', 'q'],
  project: ['V', 'b'],
};

function referenceGraph(machine: Machine): Graph {
  const size = (axis: string): number => machine.axes[axis]?.size ?? 0;
  const b = new GraphBuilder(machine.name);
  const x = b.input([size('N'), size('H'), size('W'), size('C')]);
  const [, outputs = ''] = machineTensor(machine, 'V').axes;
  const conv1 = (from: Node, name: string, axis: string): Node =>
    b.conv(from, name, { outputs: size(axis), kernel: 1, bias: true });
  const conv3 = (from: Node): Node =>
    b.conv(from, 'spatial', {
      outputs: from.shape[3],
      kernel: 3,
      groups: from.shape[3] / size('T'),
      bias: true,
    });
  const halves = machine.axes['P'] !== undefined;
  const shortcut = (y: Node): Node => (outputs === 'C' ? b.add(y, x) : y);

  let y = x;
  if (machine.name === 'ffn') {
    y = conv1(b.relu(conv1(y, 'expand', 'R')), 'project', outputs);
  } else if (machine.name.startsWith('convfirst')) {
    y = conv3(y);
    if (halves) y = b.blurPool(b.concat(y, x), 2);
    y = shortcut(conv1(b.relu(conv1(y, 'expand', 'R')), 'project', outputs));
  } else {
    y = b.activation(conv3(b.activation(conv1(y, 'expand', 'R'), 'silu')), 'silu');
    if (halves) y = b.blurPool(y, 2);
    const squeezed = b.relu(conv1(b.globalPool(y), 'squeeze', 'S'));
    y = b.channelScale(y, b.activation(conv1(squeezed, 'excite', 'R'), 'sigmoid'));
    y = shortcut(conv1(y, 'project', outputs));
  }
  b.output('Y', y);
  return b.build();
}

function machineTensor(machine: Machine, name: string) {
  const found = machine.tensors[name];
  if (found === undefined) throw new Error(`${machine.name} has no tensor ${name}`);
  return found;
}

function tensor(inputs: Readonly<Record<string, Float32Array>>, name: string): Float32Array {
  const found = inputs[name];
  if (found === undefined) throw new Error(`There is no ${name}`);
  return found;
}

function transpose(values: Float32Array, [rows = 0, columns = 0]: readonly number[]): Float32Array {
  return values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)] ?? NaN);
}
