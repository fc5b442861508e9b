import { afterAll, beforeAll, expect, test } from 'vitest';

import type { Peer } from '../../src/bench/engine.ts';
import { nhwcToNchw } from '../../src/bench/layout.ts';
import { openPeer } from '../../src/bench/peers/index.ts';
import type { AbsentPeer } from '../../src/bench/peers/index.ts';
import { relativeError } from '../../src/bench/verify-model.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { reparameterize } from '../../src/graph/passes/reparameterize.ts';
import { graphCases, graphOf, randomGraph } from '../support/graph-cases.ts';
import { countOps, outputsOf } from '../support/graph-values.ts';
import { graphCase } from '../support/model-case.ts';
import { networkTolerance } from '../support/tolerance.ts';

let peer: Peer | AbsentPeer;
beforeAll(async () => {
  peer = await openPeer('pytorch', { threads: 1 });
});
afterAll(async () => {
  if ('dispose' in peer) await peer.dispose();
});

const graphs = [
  ...Object.entries(graphCases).map(([name, build]) => [name, graphOf(build), 'y'] as const),
  ...[1, 2, 3].map((seed) => [`random graph ${seed}`, randomGraph(seed), 'logits'] as const),
];

test.for(graphs)('PyTorch computes what the graph means: %s', async ([, built, output], context) => {
  if ('absent' in peer) return context.skip(`PyTorch: ${peer.absent}`);
  const engines = (await peer.prepareModel?.(graphCase(built, output))) ?? [];
  expect(engines.map(({ name }) => name)).toEqual(['pytorch', 'pytorch-channels-last']);
  for (const engine of engines) {
    await engine.time(1);
    const error = relativeError(await engine.output(), expectedOf(built, output));
    expect(error).toBeLessThan(networkTolerance(built));
    await engine.dispose();
  }
});

test('of merged and separate branches the quicker runs, and says so', async (context) => {
  if ('absent' in peer) return context.skip(`PyTorch: ${peer.absent}`);
  const apart = graphOf((b, x) => {
    const large = b.conv(x, 'm.large', { outputs: 6, kernel: 7, groups: 'depthwise' });
    return b.add(large, b.conv(x, 'm.small', { outputs: 6, kernel: 3, groups: 'depthwise' }));
  });
  const one = graphCase(apart);
  const merged = reparameterize(one.graph);
  expect(countOps(merged)).toEqual({ conv: 1 });
  const engines = (await peer.prepareModel?.({ ...one, merged })) ?? [];
  expect(engines).toHaveLength(2);
  for (const engine of engines) {
    expect(engine.config).toMatch(/^(contiguous|channels_last), branches (merged|apart)$/);
    await engine.time(1);
    const error = relativeError(await engine.output(), expectedOf(apart, 'y'));
    expect(error).toBeLessThan(networkTolerance(apart));
    await engine.dispose();
  }
});

/** The output [N, C, H, W] in float64, rounded. */
function expectedOf(built: Graph, output: string): Float32Array {
  const [batch, height, width, channels] = built.outputs.get(output)?.shape ?? [1, 1, 1, 1];
  const reference = outputsOf(built, built).get(output) ?? new Float64Array();
  return nhwcToNchw(Float32Array.from(reference), batch, height * width, channels);
}
