import fc from 'fast-check';
import { GraphBuilder } from '../../src/graph/builder.ts';
import type { Graph, Node } from '../../src/graph/graph.ts';

/** Steps of a random network: each takes the current node and gives the next. Names follow from positions. */
type Build = (b: GraphBuilder, x: Node, name: string) => Node;

const activations = fc.constantFrom('relu', 'relu6', 'gelu', 'silu', 'sigmoid', 'tanh');

const conv: fc.Arbitrary<Build> = fc
  .record({
    outputs: fc.constantFrom(2, 4, 6),
    kernel: fc.constantFrom<number | [number, number]>(1, 1, 2, 3, [1, 3]),
    groups: fc.constantFrom<number | 'depthwise'>(1, 2, 'depthwise'),
    stride: fc.constantFrom(1, 1, 1, 2),
    noPadding: fc.boolean(),
    bias: fc.boolean(),
  })
  .map(({ noPadding, ...options }) => (b, x, name) => {
    const outputs = options.groups === 'depthwise' ? x.shape[3] : options.outputs;
    // Windows larger than the map need padding.
    const fits = x.shape[1] >= 3 && x.shape[2] >= 3;
    return b.conv(x, name, { ...options, outputs, ...(noPadding && fits && { padding: 0 }) });
  });

/** Parallel depthwise convolutions of one input, some with norms, added up. */
const branches: fc.Arbitrary<Build> = fc
  .array(
    fc.record({
      kernel: fc.tuple(fc.constantFrom(1, 3, 5), fc.constantFrom(1, 3, 7)),
      dilation: fc.constantFrom(1, 1, 2),
      norm: fc.boolean(),
      bias: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((all) => (b, x, name) => {
    const outputs = all.map(({ norm, ...options }, i) => {
      const y = b.conv(x, `${name}.${i}.conv`, { ...options, outputs: x.shape[3], groups: 'depthwise' });
      return norm ? b.batchNorm(y, `${name}.${i}.bn`) : y;
    });
    return outputs.reduce((sum, output) => b.add(sum, output));
  });

const simple: fc.Arbitrary<Build> = fc.oneof(
  { weight: 4, arbitrary: conv },
  { weight: 2, arbitrary: branches },
  fc
    .constantFrom(2, 4)
    .map((outputs) => (b: GraphBuilder, x: Node, name: string) => b.linear(x, name, outputs)),
  { weight: 4, arbitrary: fc.constant<Build>((b, x, name) => b.batchNorm(x, name)) },
  { weight: 2, arbitrary: fc.constant<Build>((b, x, name) => b.layerNorm(x, name)) },
  { weight: 2, arbitrary: fc.constant<Build>((b, x, name) => b.layerScale(x, `${name}.gamma`)) },
  {
    weight: 3,
    arbitrary: activations.map(
      (activation): Build =>
        (b, x) =>
          b.activation(x, activation),
    ),
  },
  fc.constant<Build>((b, x) => b.maxPool(x, { kernel: 3, stride: 1, padding: 1 })),
  fc.constant<Build>((b, x) => b.globalPool(x)),
  fc.constant<Build>((b, x) => b.concat(x, x)),
);

/** x → steps → + x, or times a gate of x, or beside x; where shapes allow that. */
const joined: fc.Arbitrary<Build> = fc
  .record({
    steps: fc.array(simple, { maxLength: 3 }),
    join: fc.constantFrom('add', 'add', 'add-reversed', 'gate', 'concat'),
  })
  .map(({ steps, join }) => (b, x, name) => {
    const y = steps.reduce((z, step, i) => step(b, z, `${name}.${i}`), x);
    const sameMap = y.shape[1] === x.shape[1] && y.shape[2] === x.shape[2];
    if (join === 'gate') {
      const gate = b.conv(b.globalPool(x), `${name}.gate`, { outputs: y.shape[3], kernel: 1, bias: true });
      return b.channelScale(y, b.activation(gate, 'sigmoid'));
    }
    if (!sameMap) return y;
    if (join === 'concat') return b.concat(x, y);
    if (y.shape[3] !== x.shape[3]) return y;
    return join === 'add' ? b.add(x, y) : b.add(y, x);
  });

/** Small random networks of all that models are made of, with one or two outputs. */
export const randomGraph: fc.Arbitrary<Graph> = fc
  .record({
    steps: fc.array(fc.oneof({ weight: 2, arbitrary: simple }, { weight: 1, arbitrary: joined }), {
      minLength: 1,
      maxLength: 7,
    }),
    tapped: fc.nat(20),
    batch: fc.constantFrom(1, 2),
  })
  .map(({ steps, tapped, batch }) => {
    const b = new GraphBuilder('random');
    const y = steps.reduce(
      (x, step, i) => {
        const next = step(b, x, `m${i}`);
        return i === tapped ? b.output('tapped', next) : next;
      },
      b.input([batch, 5, 4, 4]),
    );
    b.output('y', y);
    return b.build();
  });
