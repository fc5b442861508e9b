import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { evaluate } from '../../../src/graph/evaluate.ts';
import { elements, nodesOf } from '../../../src/graph/graph.ts';
import type { Graph, Shape } from '../../../src/graph/graph.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { trainingForm } from '../../../src/graph/passes/training-form.ts';
import type { KeepInput, TrainingGraph } from '../../../src/graph/passes/training-form.ts';
import { convnext } from '../../../src/models/convnext.ts';
import { replknet } from '../../../src/models/replknet.ts';
import { resnet } from '../../../src/models/resnet.ts';
import { slak } from '../../../src/models/slak.ts';
import { countOps, weightsFor } from '../../support/graph-values.ts';

const tiny = { batch: 2, resolution: 32, classes: 3 };
const channels = [4, 6, 8, 10];
const small = convnext({ depths: [1, 1, 2, 1], channels });

/** All outputs, with everything kept unless `keep` says otherwise. */
function run(
  { graph, keeps }: TrainingGraph,
  built: Graph,
  keep: (input: string, index: number) => number = () => 1,
): ReadonlyMap<string, Float64Array> {
  const target = graph.outputs.get('logits')?.shape ?? [0, 0, 0, 0];
  const extra = new Map([['target', oneHot(target)]]);
  for (const { input, shape } of keeps) {
    extra.set(
      input,
      new Float64Array(elements(shape)).map((_, i) => keep(input, i)),
    );
  }
  const image = new Random('input').array(elements(graph.input.shape));
  return evaluate(graph, image, weightsFor(built), extra);
}

function oneHot([batch, , , classes]: Shape): Float64Array {
  return new Float64Array(batch * classes).map((_, i) => Number(i % classes === 1));
}

describe('trainingForm', () => {
  it('keeps the logits, and adds their cross-entropy with the target', () => {
    const built = small.build(tiny);
    const form = trainingForm(built, { dropPath: 0.2, dropout: 0.1 });
    const outputs = run(form, built);
    const logits = evaluate(built, new Random('input').array(2 * 32 * 32 * 3), weightsFor(built)).get(
      'logits',
    );
    expect(outputs.get('logits')).toEqual(logits);
    expect([...form.graph.outputs.keys()]).toEqual(['loss', 'logits']);
    expect(form.graph.outputs.get('loss')?.shape).toEqual([2, 1, 1, 1]);
    for (const n of [0, 1]) {
      const row = [...(logits ?? [])].slice(3 * n, 3 * n + 3);
      const sum = row.reduce((total, value) => total + Math.exp(value), 0);
      expect(outputs.get('loss')?.[n]).toBeCloseTo(Math.log(sum) - (row[1] ?? NaN), 12);
    }
  });

  it('takes statistics of the batch for batch norms, and names the running ones', () => {
    const b = new GraphBuilder('norm');
    const x = b.batchNorm(b.input([3, 2, 1, 2]), 'bn', 0);
    b.output('logits', b.linear(b.globalPool(b.relu(x)), 'head', 3));
    const built = b.build();
    const form = trainingForm(built);
    expect(form.statistics).toEqual([
      {
        name: 'bn',
        output: 'statistics.bn',
        runningMean: { key: 'bn.running_mean', shape: [2], buffer: true },
        runningVariance: { key: 'bn.running_var', shape: [2], buffer: true },
        rows: 6,
      },
    ]);
    const image = Float64Array.of(1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 12);
    const outputs = evaluate(
      form.graph,
      image,
      weightsFor(built),
      new Map([['target', new Float64Array(9)]]),
    );
    // Of 1 to 6: mean 3.5, variance 35/12; of five zeros and 12: mean 2, variance 20.
    const expected = [3.5, 2, 35 / 12, 20];
    [...(outputs.get('statistics.bn') ?? [])].forEach((value, i) =>
      expect(value).toBeCloseTo(expected[i] ?? NaN, 12),
    );
    expect(countOps(trainingForm(built, { batchStatistics: false }).graph)['batch-norm']).toBe(1);
  });

  it('raises the rate of stochastic depth from 0 over the residual branches', () => {
    const { graph, keeps } = trainingForm(small.build(tiny), { dropPath: 0.4 });
    expect(keeps.map(({ input, shape }) => [input, shape])).toEqual([
      ['keep.stages.1.0', [2, 1, 1, 1]],
      ['keep.stages.2.0', [2, 1, 1, 1]],
      ['keep.stages.2.1', [2, 1, 1, 1]],
      ['keep.stages.3.0', [2, 1, 1, 1]],
    ]);
    expectRates(keeps, [0.1, 0.2, 0.3, 0.4]);
    const inputs = nodesOf(graph).flatMap(({ op, name }) => (op.type === 'input' ? [name] : []));
    expect(inputs.sort()).toEqual(['input', 'target', ...keeps.map(({ input }) => input)].sort());
  });

  it('drops whole branches of single images: a dropped block gives its input', () => {
    const built = small.build(tiny);
    const form = trainingForm(built, { dropPath: 0.4 });
    const block = blockOf(form.graph, 'stages.3.0');
    const residual = block.inputs.find(({ name }) => !name.endsWith('.drop_path')) ?? block;
    const outputsWanted = new Map([...form.graph.outputs, ['y', block] as const, ['x', residual] as const]);
    const tapped = { ...form, graph: { ...form.graph, outputs: outputsWanted } };
    // The first image loses the last block, the second keeps it at 1 / (1 − ½).
    const outputs = run(tapped, built, (input, n) => (input === 'keep.stages.3.0' ? 2 * n : 1));
    const [y, x] = [outputs.get('y') ?? [], outputs.get('x') ?? []];
    const half = y.length / 2;
    expect([...y.slice(0, half)]).toEqual([...x.slice(0, half)]);
    const branch = evaluate(built, new Random('input').array(2 * 32 * 32 * 3), weightsFor(built)).get(
      'stages.3',
    );
    for (let i = half; i < y.length; i++) {
      // Twice the branch that the block adds without stochastic depth.
      const twice = 2 * ((branch?.[i] ?? NaN) - (x[i] ?? NaN));
      expect((y[i] ?? NaN) - (x[i] ?? NaN)).toBeCloseTo(twice, 10);
    }
  });

  it('finds the residual branches of each family', () => {
    const keepsOf = (graph: Graph, branchesPerRate = 1) =>
      trainingForm(graph, { dropPath: 0.3, branchesPerRate }).keeps;
    const kernels = [5, 5, 5, 5];
    const one = [1, 1, 1, 1];
    expect(keepsOf(slak({ channels, depths: one, kernels, smallKernel: 3 }).build(tiny))).toHaveLength(3);
    const pairs = keepsOf(replknet({ channels, kernels, smallKernel: 3, depths: one }).build(tiny), 2);
    expect(pairs.map(({ input }) => input)).toEqual(
      [1, 2, 3].flatMap((stage) => [0, 1].map((block) => `keep.stages.${stage}.blocks.${block}`)),
    );
    expectRates(pairs, [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]);
    // Only blocks beside the identity: those that change the map have a convolution there.
    const residual = keepsOf(resnet({ depths: [2, 1, 1, 2], width: 4 }).build(tiny));
    expect(residual.map(({ input }) => input)).toEqual(['keep.layer4.1']);
  });

  it('drops what the classifier reads', () => {
    const built = small.build(tiny);
    const form = trainingForm(built, { dropout: 0.5 });
    expect(form.keeps).toEqual([{ input: 'keep.dropout', rate: 0.5, shape: [2, 1, 1, 10] }]);
    const bias = weightsFor(built)('head.bias');
    const logits = run(form, built, (_, i) => (i < 10 ? 0 : 1)).get('logits') ?? [];
    expect([...logits.slice(0, 3)]).toEqual([...bias]);
    expect([...logits.slice(3)]).not.toEqual([...bias]);
  });

  it('takes networks that are already fused', () => {
    const built = small.build(tiny);
    const form = trainingForm(optimize(built, { worthFusing: () => true }), { dropPath: 0.4 });
    expect(form.keeps).toHaveLength(4);
  });

  it('refuses graphs without logits, and rates that keep nothing', () => {
    const b = new GraphBuilder('features');
    b.output('features', b.relu(b.input([1, 2, 2, 3])));
    expect(() => trainingForm(b.build())).toThrow('features cannot be trained: it has no output logits.');
    expect(() => trainingForm(small.build(tiny), { dropPath: 1 })).toThrow(
      'The dropPath must be in [0, 1), got 1.',
    );
    expect(() => trainingForm(small.build(tiny), { dropout: NaN })).toThrow(
      'The dropout must be in [0, 1), got NaN.',
    );
  });
});

function expectRates(keeps: readonly KeepInput[], expected: readonly number[]): void {
  expect(keeps).toHaveLength(expected.length);
  keeps.forEach(({ rate }, i) => expect(rate).toBeCloseTo(expected[i] ?? NaN, 12));
}

/** The sum that closes a block. */
function blockOf(graph: Graph, name: string) {
  const node = nodesOf(graph).find(({ inputs }) =>
    inputs.some((input) => input.name === `${name}.drop_path`),
  );
  if (node === undefined) throw new Error(`There is no block ${name}.`);
  return node;
}
