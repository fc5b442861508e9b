import { invalidArgument } from '../core/errors.ts';
import { GraphBuilder } from '../graph/builder.ts';
import { nodesOf, rewriteGraph, selectOutputs } from '../graph/graph.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { findModel } from '../models/zoo.ts';

/** Classes of the small heads behind blocks and of the small network. */
const CLASSES = 10;

/**
 * A RepLK block and the ConvFFN block behind it, the first pair of a stage of a RepLKNet, behind which a global pool and
 * a small classifier give a loss. Its input is the stage's map at the network's own resolution.
 * Throws `invalid-argument` if the network has no such pair.
 */
export function replkBlockPair(model: string, stage: number, batch: number): Graph {
  const network = selectOutputs(findModel(model).build({ batch }), ['logits']);
  const first = inputOfNorm(network, `stages.${stage - 1}.blocks.0.prelkb_bn`);
  const second = inputOfNorm(network, `stages.${stage - 1}.blocks.2.prelkb_bn`);
  if (first === undefined || second === undefined) {
    throw invalidArgument(
      `${model} has no pair of a RepLK block and a ConvFFN block in stage ${stage}: use a RepLKNet and a stage from 1 to 4.`,
    );
  }
  const b = new GraphBuilder(`${model} stage ${stage} block pair`);
  const input = b.input(first.shape);
  const cut = rewriteGraph({ ...network, outputs: new Map([['pair', second]]) }, (node, original) =>
    original === first ? input : node,
  );
  const pair = cut.outputs.get('pair') ?? second;
  b.output('logits', b.linear(b.globalPool(pair), 'head', CLASSES));
  return b.build();
}

function inputOfNorm(network: Graph, name: string): Node | undefined {
  return nodesOf(network).find((node) => node.name === name)?.inputs[0];
}

/** What the small network is called. */
export const SMALL_CONVNET = 'small-convnet';

/**
 * A small ConvNet for 32×32 images, of layers that every runtime has: two dense 3×3 convolutions, three depthwise ones of
 * 3×3, 5×5 and 5×5 pixels, each with a 1×1 convolution behind it, ReLUs, and a linear classifier. 0.03 M weights.
 */
export function smallConvNet(batch: number, resolution: number | readonly [number, number] = 32): Graph {
  const [height, width] = typeof resolution === 'number' ? [resolution, resolution] : resolution;
  const b = new GraphBuilder(SMALL_CONVNET);
  let x = b.input([batch, height, width, 3]);
  const conv = (name: string, outputs: number, kernel: number, stride = 1): void => {
    x = b.relu(b.conv(x, name, { outputs, kernel, stride, bias: true }));
  };
  const separable = (name: string, outputs: number, kernel: number): void => {
    x = b.conv(x, `${name}.dw`, { outputs: x.shape[3], kernel, groups: 'depthwise', bias: true });
    conv(`${name}.pw`, outputs, 1);
  };
  conv('stem', 32, 3);
  separable('block1', 64, 3);
  conv('down', 64, 3, 2);
  separable('block2', 128, 5);
  separable('block3', 128, 5);
  b.output('logits', b.linear(b.globalPool(x), 'head', CLASSES));
  return b.build();
}
