import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WidefieldError } from '../../../src/core/errors.ts';
import { GraphBuilder, makeNode } from '../../../src/graph/builder.ts';
import { nodesOf, parametersOf } from '../../../src/graph/graph.ts';
import type { Graph, Node, Parameter, Shape } from '../../../src/graph/graph.ts';
import type { ConvOp } from '../../../src/graph/op.ts';
import { differentiate } from '../../../src/graph/passes/differentiate.ts';
import { fuseElementwise } from '../../../src/graph/passes/fuse-elementwise.ts';
import { fuseEpilogues } from '../../../src/graph/passes/fuse-epilogues.ts';
import { foldBatchNorm } from '../../../src/graph/passes/fold-batch-norm.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { reparameterize } from '../../../src/graph/passes/reparameterize.ts';
import { NO_EPILOGUE, outputMap } from '../../../src/kernels/problem.ts';
import type { Activation, ElementwiseStep, Epilogue } from '../../../src/kernels/problem.ts';
import { evaluateAt, expectGradients, pointOf } from '../../support/finite-differences.ts';
import { graphOf, poolNode } from '../../support/graph-cases.ts';
import { countOps } from '../../support/graph-values.ts';
import { randomGraph } from '../../support/random-graph.ts';

type Build = (b: GraphBuilder, x: Node) => Node;

const SHAPE: Shape = [2, 5, 4, 6];

/** Running statistics that follow from the weights are rounded to float32. */
const FROZEN = { tolerance: 1e-6 };

function chain(steps: readonly ElementwiseStep[], ...inputs: readonly Node[]): Node {
  return makeNode('chain', { type: 'elementwise', steps }, inputs);
}

const parameter = (key: string, ...shape: number[]): Parameter => ({ key, shape, buffer: false });
const input = (name: string, shape: Shape): Node => ({
  name,
  op: { type: 'input' },
  inputs: [],
  parameters: {},
  shape,
});

describe('gradients of each operation are those of central differences', () => {
  const cases: Record<string, Build> = {
    conv: (b, x) => b.conv(x, 'c', { outputs: 4, kernel: 3, bias: true }),
    'strided conv': (b, x) => b.conv(x, 'c', { outputs: 4, kernel: 3, stride: 2 }),
    'patches that leave pixels out': (b, x) =>
      b.conv(x, 'c', { outputs: 3, kernel: 2, stride: 2, padding: 0 }),
    '1×1 conv': (b, x) => b.conv(x, 'c', { outputs: 4, kernel: 1, bias: true }),
    'strided 1×1 conv': (b, x) => b.conv(x, 'c', { outputs: 4, kernel: 1, stride: 2 }),
    'grouped conv': (b, x) => b.conv(x, 'c', { outputs: 9, kernel: [3, 1], groups: 3, bias: true }),
    'depthwise conv': (b, x) => b.conv(x, 'c', { outputs: 6, kernel: [3, 7], groups: 'depthwise' }),
    'depthwise conv with a multiplier': (b, x) => b.conv(x, 'c', { outputs: 12, kernel: 3, groups: 6 }),
    linear: (b, x) => b.linear(x, 'l', 5),
    'batch norm with frozen statistics': (b, x) => b.batchNorm(x, 'n'),
    'layer norm': (b, x) => b.layerNorm(x, 'n'),
    'layer norm without weights': (_, x) =>
      makeNode('n', { type: 'layer-norm', affine: false, epsilon: 1e-6 }, [x]),
    'layer scale': (b, x) => b.layerScale(x, 'gamma'),
    'channel scale': (b, x) => b.channelScale(x, b.activation(b.linear(b.globalPool(x), 'l', 6), 'sigmoid')),
    'max pool': (b, x) => b.maxPool(x, { kernel: 3, stride: 2, padding: 1 }),
    'average pool': (_, x) => poolNode(x, { countPadding: true }),
    'average pool that does not count padding': (_, x) => poolNode(x, { countPadding: false, dilation: 2 }),
    'global pool': (b, x) => b.globalPool(x),
    softmax: (b, x) => b.softmax(x),
    'blur pool': (b, x) => b.blurPool(x, 2),
    'blur pool of one column': (b, x) => b.blurPool(b.conv(x, 'c', { outputs: 2, kernel: 4, padding: 0 }), 1),
    resize: (b, x) => b.resize(x, 3, 9),
    'resize with aligned corners': (b, x) => b.resize(x, 7, 2, true),
    concat: (b, x) => b.concat(x, b.linear(x, 'l', 3), x),
    'sum of several': (b, x) => b.add(x, b.linear(x, 'l', 6), x),
    'chain with operands': (b, x) =>
      chain(
        [
          { kind: 'mul' },
          { kind: 'activation', activation: 'gelu' },
          { kind: 'sub' },
          { kind: 'affine', scale: -2, shift: 0.5 },
          { kind: 'mul' },
          { kind: 'activation', activation: 'relu' },
        ],
        b.linear(x, 'l', 6),
        x,
        b.layerScale(x, 'gamma'),
        b.softmax(x),
      ),
    'product with itself': (_, x) => chain([{ kind: 'mul' }, { kind: 'sub' }], x, x, x),
    'operand alone': (b, x) => chain([{ kind: 'sub' }], input('constant', SHAPE), b.linear(x, 'l', 6)),
    'sample scale': (_, x) => makeNode('s', { type: 'sample-scale' }, [x, input('scale', [2, 1, 1, 1])]),
    'cross-entropy of each pixel': (_, x) =>
      makeNode('loss', { type: 'cross-entropy' }, [x, input('target', SHAPE)]),
    'batch norm by the statistics of the batch': (b, x) => {
      const { weight, bias } = b.batchNorm(x, 'n').parameters;
      const statistics = makeNode('n', { type: 'batch-statistics' }, [x]);
      const op = { type: 'batch-normalize', epsilon: 1e-5 } as const;
      return makeNode('n', op, [x, statistics], { ...(weight && { weight }), ...(bias && { bias }) });
    },
  };
  it.each(Object.entries(cases))('%s', (name, build) => {
    expectGradients(graphOf(build, SHAPE), name.includes('frozen') ? FROZEN : {});
  });

  const activations: readonly Activation[] = ['none', 'relu', 'relu6', 'gelu', 'silu', 'sigmoid', 'tanh'];
  it.each(activations)('%s', (activation) => {
    const steps = [
      { kind: 'affine', scale: 10, shift: 1 },
      { kind: 'activation', activation },
    ] as const;
    // From its own result, where it is the last step, and from what went into it.
    expectGradients(graphOf((b, x) => b.softmax(b.activation(chain(steps, x), activation)), SHAPE));
    expectGradients(graphOf((_, x) => chain([...steps, { kind: 'affine', scale: 2, shift: 0 }], x), SHAPE));
  });

  it('a map of one pixel', () => {
    expectGradients(
      graphOf((b, x) => b.blurPool(b.conv(x, 'c', { outputs: 3, kernel: 3 }), 2), [2, 1, 1, 3]),
    );
  });
});

describe('convolutions of any shape', () => {
  const side = fc.integer({ min: 0, max: 3 });
  const arbitrary = fc
    .record({
      height: fc.integer({ min: 1, max: 8 }),
      width: fc.integer({ min: 1, max: 8 }),
      kernelHeight: fc.integer({ min: 1, max: 4 }),
      kernelWidth: fc.integer({ min: 1, max: 4 }),
      stride: fc.integer({ min: 1, max: 3 }),
      dilation: fc.integer({ min: 1, max: 2 }),
      padding: fc.record({ top: side, bottom: side, left: side, right: side }),
      groups: fc.integer({ min: 1, max: 3 }),
      groupInputs: fc.integer({ min: 1, max: 2 }),
      groupOutputs: fc.integer({ min: 1, max: 2 }),
      bias: fc.boolean(),
    })
    .filter((c) => {
      const out = outputMap({ ...c, batch: 1 });
      return out.height > 0 && out.width > 0;
    });

  /** Padding that no tap reaches over. */
  const isWide = ({ padding, dilation, kernelHeight, kernelWidth, height, width, stride }: ConvShape) => {
    const [tall, broad] = [dilation * (kernelHeight - 1), dilation * (kernelWidth - 1)];
    const rest = (size: number, extent: number) => (size - extent - 1) % stride;
    return (
      padding.top > tall ||
      padding.left > broad ||
      padding.bottom - rest(height + padding.top + padding.bottom, tall) > tall ||
      padding.right - rest(width + padding.left + padding.right, broad) > broad
    );
  };

  it('have the gradients of central differences, or say that they are padded too much', () => {
    let compared = 0;
    const property = fc.property(arbitrary, (shape) => {
      const { height, width, groups, groupInputs, groupOutputs, bias, ...window } = shape;
      const outputs = groups * groupOutputs;
      const op: ConvOp = { type: 'conv', outputs, groups, ...window, epilogue: { ...NO_EPILOGUE, bias } };
      const graph = graphOf(
        (_, x) =>
          makeNode('c', op, [x], {
            weight: parameter('c.weight', outputs, groupInputs, shape.kernelHeight, shape.kernelWidth),
            ...(bias && { bias: parameter('c.bias', outputs) }),
          }),
        [2, height, width, groups * groupInputs],
      );
      if (isWide(shape)) {
        expect(() => expectGradients(graph)).toThrow('c cannot be trained: its padding is wider than its');
      } else {
        compared++;
        expectGradients(graph);
      }
    });
    fc.assert(property, { numRuns: 200 });
    expect(compared).toBeGreaterThan(20);
  });
});

type ConvShape = Pick<ConvOp, 'padding' | 'dilation' | 'kernelHeight' | 'kernelWidth' | 'stride'> & {
  readonly height: number;
  readonly width: number;
};

describe('random networks', () => {
  it('have the gradients of central differences', () => {
    // Layer norms of nearly constant channels have third derivatives like 1/ε.
    const property = fc.property(
      randomGraph,
      (graph) => void expectGradients(graph, { tolerance: 1e-5, samples: 3 }),
    );
    fc.assert(property, { numRuns: 60 });
  });

  it('may be fused after differentiation', () => {
    const property = fc.property(randomGraph, (graph) => {
      const trained = differentiate(graph, { outputs: [...graph.outputs.keys()], input: true });
      const point = pointOf(graph, trained);
      const expected = evaluateAt(trained, point);
      const actual = evaluateAt(fuseElementwise(fuseEpilogues(trained)), point);
      for (const [name, values] of expected) {
        const scale = Math.max(1e-30, ...values.map(Math.abs));
        const error = values.map((value, i) => Math.abs(value - (actual.get(name)?.[i] ?? NaN)) / scale);
        expect(Math.max(...error), name).toBeLessThan(1e-9);
      }
    });
    fc.assert(property, { numRuns: 60 });
  });
});

describe('what passes have fused', () => {
  const epilogue: Epilogue = {
    bias: true,
    activation: 'gelu',
    scale: true,
    residual: true,
    finalActivation: 'tanh',
  };
  const vectors = { bias: parameter('bias', 6), scale: parameter('scale', 6) };

  it('is split: epilogues of layers', () => {
    const graph = graphOf(
      (_, x) =>
        makeNode('l', { type: 'linear', outputs: 6, epilogue }, [x, x], {
          weight: parameter('weight', 6, 6),
          ...vectors,
        }),
      SHAPE,
    );
    expectGradients(graph);
  });

  it('is split: activations of batch norms', () => {
    const graph = graphOf((b, x) => {
      const norm = b.batchNorm(x, 'n');
      return { ...norm, op: { type: 'batch-norm', epsilon: 1e-5, activation: 'silu' } };
    }, SHAPE);
    expectGradients(graph, FROZEN);
  });

  it('is split: blocks', () => {
    const block: Build = (b, x) => {
      const y = b.conv(x, 'spatial', { outputs: 6, kernel: 3, groups: 2, bias: true });
      return b.add(b.linear(b.activation(b.linear(y, 'up', 8), 'gelu'), 'down', 6), x);
    };
    const graph = optimize(graphOf(block, SHAPE), { worthFusing: () => true });
    expect(nodesOf(graph).length).toBeLessThan(4);
    expectGradients(graph);
  });
});

describe('differentiate', () => {
  function twoLayers(): Graph {
    const b = new GraphBuilder('two layers');
    const hidden = b.output('hidden', b.relu(b.linear(b.input(SHAPE), 'first', 4)));
    b.output('y', b.linear(hidden, 'second', 3));
    return b.build();
  }
  const gradients = (graph: Graph) =>
    [...graph.outputs.keys()].filter((name) => name.startsWith('gradient.'));

  it('makes graphs that passes for inference refuse', () => {
    const graph = differentiate(twoLayers(), { outputs: ['y'] });
    for (const pass of [optimize, reparameterize]) {
      expect(() => pass(graph)).toThrow(
        `The graph two layers holds gradients: give ${pass.name} the one before differentiate.`,
      );
    }
  });

  it('adds gradients in the order of backpropagation, and seeds', () => {
    const graph = differentiate(twoLayers(), { outputs: ['y'], input: true });
    expect([...graph.outputs.keys()]).toEqual([
      'hidden',
      'y',
      'gradient.second.weight',
      'gradient.second.bias',
      'gradient.first.weight',
      'gradient.first.bias',
      'gradient.input',
    ]);
    expect(graph.outputs.get('gradient.first.weight')?.shape).toEqual([1, 1, 1, 24]);
    const inputs = nodesOf(graph).filter(({ op }) => op.type === 'input');
    expect(inputs.map(({ name, shape }) => [name, shape])).toEqual([
      ['input', SHAPE],
      ['seed.y', [2, 5, 4, 3]],
    ]);
  });

  it('computes nothing that is not wanted', () => {
    const all = differentiate(twoLayers(), { outputs: ['y'] });
    // One product for the gradient to the hidden map, none to the input.
    expect(countOps(all)['linear']).toBe(3);
    const head = differentiate(twoLayers(), {
      outputs: ['y'],
      parameters: ({ key }) => key === 'second.bias',
    });
    expect(gradients(head)).toEqual(['gradient.second.bias']);
    expect(countOps(head)).toEqual({ linear: 2, elementwise: 1, 'pixel-sum': 1 });
    const input = differentiate(twoLayers(), { outputs: ['hidden'], parameters: () => false, input: true });
    expect(gradients(input)).toEqual(['gradient.input']);
  });

  it('sums the gradients of several outputs', () => {
    expectGradients(twoLayers(), { outputs: ['hidden', 'y'] });
    expectGradients(twoLayers(), { outputs: ['hidden'], parameters: ({ key }) => key.startsWith('first') });
  });

  it('sums the gradients of a parameter that several layers share', () => {
    const graph = graphOf((b, x) => {
      const first = b.linear(x, 'l', 6);
      return makeNode('again', first.op, [b.activation(first, 'tanh')], first.parameters);
    }, SHAPE);
    const trained = expectGradients(graph);
    expect(gradients(trained)).toHaveLength(3);
    expect(new Set(trained.outputs.values()).size).toBe(trained.outputs.size);
  });

  it('leaves the graph as it was', () => {
    const graph = twoLayers();
    const keys = parametersOf(graph).map(({ key }) => key);
    const before = nodesOf(graph);
    differentiate(graph, { outputs: ['y'] });
    expect(nodesOf(graph)).toEqual(before);
    expect(parametersOf(graph).map(({ key }) => key)).toEqual(keys);
  });

  const refused: Record<string, readonly [() => unknown, string]> = {
    'an output that does not exist': [
      () => differentiate(twoLayers(), { outputs: ['loss'] }),
      'two layers has no output loss to differentiate: use one of hidden, y.',
    ],
    'nothing to train': [
      () => differentiate(twoLayers(), { outputs: ['y'], parameters: () => false }),
      'Nothing to train: the outputs y of two layers depend on no parameter that is wanted.',
    ],
    'derived parameters': [
      () => {
        const built = graphOf((b, x) => b.batchNorm(b.conv(x, 'c', { outputs: 4, kernel: 3 }), 'n'), SHAPE);
        return differentiate(foldBatchNorm(built), { outputs: ['y'] });
      },
      'The parameter c.weight with n follows from others and cannot be trained: differentiate the graph before passes fold weights.',
    ],
    'gradients of gradients': [
      () => {
        const once = differentiate(twoLayers(), { outputs: ['y'], input: true });
        return differentiate(once, { outputs: ['gradient.second.weight'] });
      },
      'second.gradient cannot be trained: a pointwise-weight-gradient has no gradient here.',
    ],
    'statistics of something else': [
      () => {
        const build: Build = (b, x) => {
          const y = b.linear(x, 'l', 6);
          const statistics = makeNode('n', { type: 'batch-statistics' }, [x]);
          const vectors = { weight: parameter('weight', 6), bias: parameter('bias', 6) };
          return makeNode('n', { type: 'batch-normalize', epsilon: 1e-5 }, [y, statistics], vectors);
        };
        return differentiate(graphOf(build, SHAPE), { outputs: ['y'] });
      },
      'n can be trained only with the statistics of its own input.',
    ],
    'a trained target': [
      () =>
        differentiate(
          graphOf((b, x) => makeNode('loss', { type: 'cross-entropy' }, [x, b.linear(x, 'l', 6)]), SHAPE),
          { outputs: ['y'] },
        ),
      'loss has no gradient to its target, which is to be an input.',
    ],
  };
  it.each(Object.entries(refused))('refuses %s', (_, [act, message]) => {
    expect(act).toThrow(new WidefieldError('invalid-argument', message));
  });
});
