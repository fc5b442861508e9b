import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { syntheticInput, syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import { Random } from '../../src/core/random.ts';
import { activationDerivative } from '../../src/graph/activations.ts';
import { GraphBuilder, makeNode } from '../../src/graph/builder.ts';
import { evaluate } from '../../src/graph/evaluate.ts';
import { elements, nodesOf, parametersOf } from '../../src/graph/graph.ts';
import type { Graph, Node, Shape } from '../../src/graph/graph.ts';
import { lower } from '../../src/graph/lower.ts';
import { differentiate } from '../../src/graph/passes/differentiate.ts';
import { trainingForm } from '../../src/graph/passes/training-form.ts';
import { reference } from '../../src/graph/reference.ts';
import type { Floats } from '../../src/graph/tensors.ts';
import { signature } from '../../src/kernels/signature.ts';
import golden from '../fixtures/training.json' with { type: 'json' };
import { graphOf } from '../support/graph-cases.ts';
import { weightsFor } from '../support/graph-values.ts';
import { randomGraph } from '../support/random-graph.ts';

// The goldens are PyTorch 1.13's float64 results with 10 significant digits; their inputs are `Random(key)`.
const GOLDEN_DIGITS = 9;

function expectClose(
  actual: ArrayLike<number> | undefined,
  expected: readonly number[],
  digits = GOLDEN_DIGITS,
): void {
  expect(actual?.length).toBe(expected.length);
  const scale = Math.max(1, ...expected.map(Math.abs));
  expected.forEach((value, i) => expect((actual?.[i] ?? NaN) / scale).toBeCloseTo(value / scale, digits));
}

/** [N, H·W, C] → [N, C, H·W]. */
function toNchw(values: Floats | undefined, [batch, height, width, channels]: Shape): number[] {
  const pixels = height * width;
  return Array.from({ length: batch * pixels * channels }, (_, i) => {
    const n = Math.floor(i / (pixels * channels));
    const c = Math.floor(i / pixels) % channels;
    return values?.[(n * pixels + (i % pixels)) * channels + c] ?? NaN;
  });
}

function nhwc([batch, height, width, channels]: Shape, key: string): Float32Array {
  return syntheticInput([batch, channels, height, width], key);
}

const mean = (values: Float64Array = new Float64Array()): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const every7th = (values: ArrayLike<number> | undefined): number[] =>
  Array.from(values ?? []).filter((_, i) => i % 7 === 0);

/** One operation's gradients to everything, for inputs of PyTorch's order. */
function gradientsOf(graph: Graph, values: (key: string) => Float32Array, keys: { x: string; dy: string }) {
  const trained = differentiate(graph, { outputs: ['y'], input: true });
  const seed = nhwc(graph.outputs.get('y')?.shape ?? [0, 0, 0, 0], keys.dy);
  return evaluate(trained, nhwc(graph.input.shape, keys.x), values, new Map([['seed.y', seed]]));
}

describe('gradients are PyTorch’s', () => {
  it.each(golden.depthwise)('depthwise $kernel stride $stride', (expected) => {
    const [height = 0, width = 0] = expected.kernel;
    const [top = 0, left = 0] = expected.padding;
    const shape: Shape = [1, 20, 17, 3];
    const graph = graphOf((b, x) => {
      const options = {
        outputs: 3,
        kernel: [height, width],
        groups: 'depthwise',
        stride: expected.stride,
      } as const;
      const node = b.conv(x, 'c', options);
      return makeNode(
        'c',
        { ...node.op, padding: { top, bottom: top, left, right: left } } as Node['op'],
        [x],
        node.parameters,
      );
    }, shape);
    const weight = new Random('unit.w').array(3 * height * width);
    const gradients = gradientsOf(graph, () => weight, { x: 'unit.x', dy: 'unit.dy' });
    expectClose(every7th(toNchw(gradients.get('gradient.input'), shape)), expected.inputEvery7th);
    expectClose(every7th(gradients.get('gradient.c.weight')), expected.weightEvery7th);
  });

  it('derivative of GELU', () => {
    expectClose(
      golden.gelu.x.map((x) => activationDerivative('gelu', x)),
      golden.gelu.derivative,
    );
  });

  it('layer norm', () => {
    const shape: Shape = [1, 2, 3, 5];
    const graph = graphOf((b, x) => b.layerNorm(x, 'unit.ln', golden.layerNorm.eps), shape);
    const gradients = gradientsOf(
      graph,
      (key) => new Random(key).array(5).map((t) => (key.endsWith('bias') ? 0.1 * t : 1 + 0.25 * t)),
      {
        x: 'unit.ln.x',
        dy: 'unit.ln.dy',
      },
    );
    expectClose(toNchw(gradients.get('gradient.input'), shape), golden.layerNorm.dx);
    expectClose(gradients.get('gradient.unit.ln.weight'), golden.layerNorm.dweight);
    expectClose(gradients.get('gradient.unit.ln.bias'), golden.layerNorm.dbias);
  });

  const [rows, classes] = [4, 5];
  const hard = golden.loss.labels.flatMap((label) =>
    Array.from({ length: classes }, (_, c) => Number(c === label)),
  );
  const { smoothing, mixed } = golden.loss;
  const smooth = hard.map((value) => value * (1 - smoothing) + smoothing / classes);
  it.each([
    ['labels', hard, golden.loss.crossEntropy, golden.loss.gradient, GOLDEN_DIGITS],
    ['smooth labels', smooth, golden.loss.smoothed, golden.loss.smoothedGradient, GOLDEN_DIGITS],
    // These targets were rounded to float32.
    ['mixed labels', mixed.target, mixed.crossEntropy, mixed.gradient, 7],
  ] as const)('cross-entropy with %s', (_, target, loss, gradient, digits) => {
    const b = new GraphBuilder('loss');
    const shape: Shape = [rows, 1, 1, classes];
    b.output('logits', b.input(shape));
    const { graph } = trainingForm(b.build());
    const trained = differentiate(graph, { outputs: ['loss'], input: true });
    const logits = Float64Array.from(new Random('unit.ce.logits').array(rows * classes), (t) => 3 * t);
    const extra = new Map([
      ['target', Float64Array.from(target)],
      ['seed.loss', new Float64Array(rows).fill(1 / rows)],
    ]);
    const outputs = evaluate(trained, logits, () => new Float32Array(), extra);
    expectClose([mean(outputs.get('loss'))], [loss], digits);
    expectClose(outputs.get('gradient.input'), gradient, digits);
  });

  it('a network of convolutions', async () => {
    const b = new GraphBuilder('toy');
    let x = b.conv(b.input([4, 6, 6, 1]), 'conv', { outputs: 3, kernel: 3, bias: true });
    x = b.conv(b.activation(x, 'gelu'), 'dw', { outputs: 3, kernel: 5, groups: 'depthwise' });
    b.output('logits', b.linear(b.globalPool(b.activation(x, 'gelu')), 'head', 4));
    const { graph } = trainingForm(b.build());
    const weights = syntheticWeights(parametersOf(graph));
    const values = new Map<string, Float32Array>();
    for (const { key } of parametersOf(graph)) values.set(key, Float32Array.from(await weights.read(key)));
    const target = golden.network.labels.flatMap((label) => [0, 1, 2, 3].map((c) => Number(c === label)));
    const outputs = evaluate(
      differentiate(graph, { outputs: ['loss'] }),
      nhwc([4, 6, 6, 1], 'unit.snip.x'),
      (key) => values.get(key) ?? new Float32Array(),
      new Map([
        ['target', Float64Array.from(target)],
        ['seed.loss', new Float64Array(4).fill(1 / 4)],
      ]),
    );
    expectClose([mean(outputs.get('loss'))], [golden.network.loss]);
    for (const [key, gradient] of Object.entries(golden.network.gradients)) {
      expectClose(outputs.get(`gradient.${key}`), gradient);
    }
  });
});

/** Rows of `channels` values with so many NaN behind each: what no reference may read. */
function padded(values: Floats, channels: number, pitch: number): Float64Array {
  const out = new Float64Array((values.length / channels) * pitch).fill(NaN);
  values.forEach((value, i) => (out[Math.floor(i / channels) * pitch + (i % channels)] = value));
  return out;
}

describe('meanings of problems', () => {
  it('do not depend on the pitch, read no padding, and leave zeros there', () => {
    const pitch = (channels: number): number => (channels === 1 ? 1 : channels + 3);
    const property = fc.property(randomGraph, (graph) => {
      const trained = differentiate(graph, { outputs: [...graph.outputs.keys()], input: true });
      const order = nodesOf(trained);
      const everything = { ...trained, outputs: new Map(order.map((node, i) => [String(i), node])) };
      const inputs = order.filter(({ op }) => op.type === 'input');
      const extra = new Map(inputs.map(({ name, shape }) => [name, new Random(name).array(elements(shape))]));
      const weights = weightsFor(graph);
      const results = evaluate(everything, extra.get('input') ?? new Float32Array(), weights, extra);
      const resultOf = (node: Node): Floats => results.get(String(order.indexOf(node))) ?? new Float64Array();
      for (const node of order) {
        if (node.op.type === 'input') continue;
        const { problem, ...lowered } = lower(node, pitch);
        const tensors = [...lowered.inputs].map(
          ([name, from]) => [name, padded(resultOf(from), from.shape[3], pitch(from.shape[3]))] as const,
        );
        const parameters = [...lowered.weights].map(([name, parameter]) => {
          const { derivation, key } = parameter;
          const values = derivation
            ? derivation.compute(derivation.from.map((p) => weights(p.key)))
            : weights(key);
          return [name, values] as const;
        });
        const actual = reference(problem, Object.fromEntries(tensors), Object.fromEntries(parameters));
        const { channels, pitch: outputPitch } = signature(problem).output;
        const expected = padded(resultOf(node), channels, outputPitch).map((value) =>
          Number.isNaN(value) ? 0 : value,
        );
        expect(actual, `${node.name} (${node.op.type})`).toEqual(expected);
      }
    });
    fc.assert(property, { numRuns: 60 });
  });
});
