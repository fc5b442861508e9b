import { GraphBuilder } from '../graph/builder.ts';
import type { Graph } from '../graph/graph.ts';
import { convnextVariants } from '../models/convnext.ts';
import type { ModelVariant } from '../models/model.ts';
import { slak } from '../models/slak.ts';
import { kernelCosts } from './costs.ts';
import type { DeviceRecord } from './devices.ts';
import { depthwiseLatencies, throughputs } from './published.ts';
import type { PublishedDepthwise } from './published.ts';
import { waterline } from './waterline.ts';

/** A published throughput, and what layer-wise execution could attain. */
export interface ThroughputBound {
  readonly title: string;
  /** Images a second, published. */
  readonly measured: number;
  /** Images a second, by the waterline. */
  readonly bound: number;
  /** measured / bound. */
  readonly share: number;
}

/** A published depthwise layer, and the least times of its full kernel and of the two that replace it. */
export interface DepthwiseBound extends PublishedDepthwise {
  readonly fullBoundMs: number;
  readonly decomposedBoundMs: number;
}

const BATCH = 128;
const BASE = { depths: [3, 3, 27, 3], channels: [128, 256, 512, 1024] };

// Masked weights are multiplied all the same, so sparse networks are bounded as dense ones.
const networks: readonly (readonly [title: string, variant: ModelVariant | undefined])[] = [
  ['ConvNeXt-T', convnextVariants.find(({ name }) => name === 'convnext-tiny')],
  ['SLaK-T', slak()],
  ['ConvNeXt-B, full 51-49-47-13', slak({ ...BASE, widthFactor: 1, decomposition: 'full' })],
  ['ConvNeXt-B, decomposed', slak({ ...BASE, widthFactor: 1 })],
  ['ConvNeXt-B, decomposed, sparse', slak({ ...BASE, widthFactor: 1 })],
  ['ConvNeXt-B, decomposed, sparse, ×1.3 (SLaK-B)', slak(BASE)],
];

/** SLaK's Tables 11 and 12 beside the waterline's bound in float32; the paper's device is the A100. */
export function throughputBounds(device: DeviceRecord): ThroughputBound[] {
  return throughputs.rows.flatMap(({ title, imagesPerSecond }): ThroughputBound[] => {
    const variant = networks.find(([name]) => name === title)?.[1];
    if (variant === undefined) return [];
    const bound = (1e3 * BATCH) / leastMs(variant.build({ batch: BATCH, resolution: 224 }), device);
    return [{ title, measured: imagesPerSecond, bound, share: imagesPerSecond / bound }];
  });
}

/** SLaK's Figure 4, one depthwise layer on (64, 384, R, R), beside the waterline's bounds in float32. */
export function depthwiseBounds(device: DeviceRecord): DepthwiseBound[] {
  return depthwiseLatencies.rows.map((row) => ({
    ...row,
    fullBoundMs: leastMs(depthwiseLayer(row.size, [[51, 51]]), device),
    decomposedBoundMs: leastMs(
      depthwiseLayer(row.size, [
        [51, 5],
        [5, 51],
      ]),
      device,
    ),
  }));
}

function leastMs(graph: Graph, device: DeviceRecord): number {
  return waterline(kernelCosts(graph, { dtype: 'f32' }), device, 'f32').minLatencyMs;
}

/** Parallel depthwise convolutions of one map, added up. */
function depthwiseLayer(size: number, kernels: readonly (readonly [number, number])[]): Graph {
  const b = new GraphBuilder('depthwise layer');
  const x = b.input([64, size, size, 384]);
  const branches = kernels.map((kernel, i) =>
    b.conv(x, `branch${i}`, { outputs: 384, kernel, groups: 'depthwise' }),
  );
  b.output('y', branches.length > 1 ? b.add(...branches) : (branches[0] ?? x));
  return b.build();
}
