import { describe, expect, it } from 'vitest';
import { GraphBuilder, makeNode } from '../../src/graph/builder.ts';
import {
  elements,
  nodesOf,
  parametersOf,
  rewriteGraph,
  selectOutputs,
  usersOf,
} from '../../src/graph/graph.ts';
import type { Graph, Node } from '../../src/graph/graph.ts';

/** input → a → b → add(b, a) → y, with `a` an output too. */
function diamond() {
  const b = new GraphBuilder('diamond');
  const input = b.input([1, 2, 2, 3]);
  const a = b.output('a', b.relu(input));
  const c = b.linear(a, 'c', 3);
  const y = b.output('y', b.add(c, a));
  return { graph: b.build(), input, a, c, y };
}

describe('nodesOf', () => {
  it('puts each node after its inputs, once', () => {
    const { graph, input, a, c, y } = diamond();
    expect(nodesOf(graph)).toEqual([input, a, c, y]);
  });

  it('puts nodes behind those that they are to come after, also in rewritten graphs', () => {
    const { graph, input, a, c, y } = diamond();
    const late = { ...makeNode('late', { type: 'softmax' }, [input]), after: [c] };
    const first = { ...graph, outputs: new Map([['late', late], ...graph.outputs]) };
    expect(nodesOf(first)).toEqual([input, a, c, late, y]);
    const renamed = rewriteGraph(first, (node) => ({ ...node, name: `new ${node.name}` }));
    expect(nodesOf(renamed).map(({ name }) => name)).toEqual(
      [input, a, c, late, y].map(({ name }) => `new ${name}`),
    );
  });

  it('leaves out what no output needs, but not the input', () => {
    const b = new GraphBuilder('unused');
    const input = b.input([1, 2, 2, 3]);
    b.linear(b.relu(input), 'unused', 3);
    const y = b.output('y', b.softmax(input));
    expect(nodesOf(b.build())).toEqual([input, y]);
    const other = makeNode('other', { type: 'softmax' }, [y]);
    expect(nodesOf({ name: 'g', input, outputs: new Map() })).toEqual([input]);
    expect(nodesOf({ name: 'g', input, outputs: new Map([['y', other]]) })).toEqual([input, y, other]);
  });

  it('takes networks that are deeper than the call stack', () => {
    const b = new GraphBuilder('deep');
    let x = b.input([1, 1, 1, 1]);
    for (let i = 0; i < 30_000; i++) x = b.relu(x);
    b.output('y', x);
    const nodes = nodesOf(b.build());
    expect(nodes.length).toBe(30_001);
    expect(nodes.at(-1)).toBe(x);
  });
});

describe('usersOf', () => {
  it('names readers, as often as they read, and outputs', () => {
    const { graph, input, a, c, y } = diamond();
    const users = usersOf(graph);
    expect(users.get(input)).toEqual([a]);
    expect(users.get(a)).toEqual([c, y, undefined]);
    expect(users.get(c)).toEqual([y]);
    expect(users.get(y)).toEqual([undefined]);

    const b = new GraphBuilder('twice');
    const x = b.input([1, 1, 1, 1]);
    const sum = b.output('y', b.add(x, x));
    b.output('z', sum);
    const twice = usersOf(b.build());
    expect(twice.get(x)).toEqual([sum, sum]);
    expect(twice.get(sum)).toEqual([undefined, undefined]);
  });
});

describe('parametersOf', () => {
  it('lists parameters in order of use, shared ones once', () => {
    const b = new GraphBuilder('shared');
    const first = b.linear(b.input([1, 1, 1, 2]), 'a', 2);
    const second: Node = { ...first, inputs: [first] };
    b.output('y', b.layerScale(second, 'gamma'));
    expect(parametersOf(b.build())).toEqual([
      { key: 'a.weight', shape: [2, 2], buffer: false },
      { key: 'a.bias', shape: [2], buffer: false },
      { key: 'gamma', shape: [2], buffer: false },
    ]);
  });
});

describe('rewriteGraph', () => {
  it('returns the same nodes if nothing changes', () => {
    const { graph } = diamond();
    const same = rewriteGraph(graph, (node, original) => {
      expect(node).toBe(original);
      return node;
    });
    expect(nodesOf(same)).toEqual(nodesOf(graph));
    same.outputs.forEach((node, name) => expect(node).toBe(graph.outputs.get(name)));
  });

  it('gives nodes with their new inputs, and replaces outputs', () => {
    const { graph, a, c } = diamond();
    const changed = rewriteGraph(graph, (node, original) => {
      if (original === c) expect(node.inputs[0]?.name).toBe('tanh');
      if (original !== a) return node;
      const steps = [{ kind: 'activation', activation: 'tanh' }] as const;
      return makeNode('tanh', { type: 'elementwise', steps }, node.inputs);
    });
    expect(nodesOf(changed).map(({ name }) => name)).toEqual(['input', 'tanh', 'c', 'add']);
    expect(changed.outputs.get('a')?.name).toBe('tanh');
    expect(nodesOf(graph).map(({ name }) => name)).toEqual(['input', 'relu', 'c', 'add']);
  });
});

describe('selectOutputs', () => {
  it('keeps what is asked for and what that needs', () => {
    const { graph, input, a } = diamond();
    const only: Graph = selectOutputs(graph, ['a']);
    expect([...only.outputs.keys()]).toEqual(['a']);
    expect(nodesOf(only)).toEqual([input, a]);
  });

  it('refuses outputs that there are not, and names those that there are', () => {
    const { graph } = diamond();
    const names = [...graph.outputs.keys()].join(', ');
    expect(() => selectOutputs(graph, ['a', 'none'])).toThrow(
      `${graph.name} has no output none: use one of ${names}.`,
    );
  });
});

it('elements counts the numbers of a tensor', () => {
  expect(elements([2, 3, 4])).toBe(24);
  expect(elements([])).toBe(1);
});
