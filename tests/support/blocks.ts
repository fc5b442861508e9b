import type { GraphBuilder } from '../../src/graph/builder.ts';
import type { Node } from '../../src/graph/graph.ts';

/** Blocks as model definitions write them, with official names, for tests of graphs and passes. */

export function convBn(b: GraphBuilder, x: Node, name: string, outputs: number, kernel = 1): Node {
  const groups = kernel > 1 ? 'depthwise' : 1;
  return b.batchNorm(b.conv(x, `${name}.conv`, { outputs, kernel, groups }), `${name}.bn`);
}

/** RepLKNet's large kernel, by default with a small one beside it. */
export function replkKernel(b: GraphBuilder, x: Node, name: string, large: number, small?: number): Node {
  const channels = x.shape[3];
  const origin = convBn(b, x, `${name}.lkb_origin`, channels, large);
  return small === undefined ? origin : b.add(origin, convBn(b, x, `${name}.small_conv`, channels, small));
}

/** RepLKNet: RepLK block, then ConvFFN. */
export function replkBlocks(b: GraphBuilder, x: Node, stage: string, large: number, small?: number): Node {
  const channels = x.shape[3];
  const [block, ffn] = [`${stage}.blocks.0`, `${stage}.blocks.1`];
  let y = b.batchNorm(x, `${block}.prelkb_bn`);
  y = b.relu(convBn(b, y, `${block}.pw1`, channels));
  y = b.relu(replkKernel(b, y, `${block}.large_kernel`, large, small));
  const middle = b.add(x, convBn(b, y, `${block}.pw2`, channels));
  y = b.batchNorm(middle, `${ffn}.preffn_bn`);
  y = b.activation(convBn(b, y, `${ffn}.pw1`, 4 * channels), 'gelu');
  return b.add(middle, convBn(b, y, `${ffn}.pw2`, channels));
}

/** RepLKNet's end: norm, pool, classifier. */
export function replkHead(b: GraphBuilder, x: Node, classes: number): Node {
  return b.linear(b.globalPool(b.batchNorm(x, 'norm')), 'head', classes);
}

/** SLaK's three branches. */
export function slakKernel(b: GraphBuilder, x: Node, name: string, large: number, small: number): Node {
  const branch = (part: string, kernel: readonly [number, number]): Node => {
    const conv = b.conv(x, `${name}.${part}.conv`, { outputs: x.shape[3], kernel, groups: 'depthwise' });
    return b.batchNorm(conv, `${name}.${part}.bn`);
  };
  const tall = branch('LoRA1', [large, small]);
  const wide = branch('LoRA2', [small, large]);
  return b.add(b.add(tall, wide), branch('small_conv', [small, small]));
}

/** ConvNeXt's block behind its depthwise convolution `y`; SLaK's too. */
export function convnextTail(b: GraphBuilder, x: Node, y: Node, name: string): Node {
  const channels = x.shape[3];
  let z = b.layerNorm(y, `${name}.norm`);
  z = b.activation(b.linear(z, `${name}.pwconv1`, 4 * channels), 'gelu');
  z = b.linear(z, `${name}.pwconv2`, channels);
  return b.add(x, b.layerScale(z, `${name}.gamma`));
}

export function slakBlock(b: GraphBuilder, x: Node, name: string, large: number, small: number): Node {
  return convnextTail(b, x, slakKernel(b, x, `${name}.large_kernel`, large, small), name);
}

export function convnextBlock(b: GraphBuilder, x: Node, name: string): Node {
  const y = b.conv(x, `${name}.dwconv`, { outputs: x.shape[3], kernel: 7, groups: 'depthwise', bias: true });
  return convnextTail(b, x, y, name);
}

/** EfficientNet's block with squeeze-and-excitation. */
export function mbconvBlock(b: GraphBuilder, x: Node, name: string): Node {
  const channels = x.shape[3];
  const hidden = 4 * channels;
  let y = b.activation(convBn(b, x, `${name}.0`, hidden), 'silu');
  y = b.activation(convBn(b, y, `${name}.1`, hidden, 3), 'silu');
  const squeeze = { outputs: channels, kernel: 1, bias: true };
  let gate = b.activation(b.conv(b.globalPool(y), `${name}.2.fc1`, squeeze), 'silu');
  gate = b.activation(b.conv(gate, `${name}.2.fc2`, { ...squeeze, outputs: hidden }), 'sigmoid');
  return b.add(convBn(b, b.channelScale(y, gate), `${name}.3`, channels), x);
}

/** ResNet's bottleneck without stride. */
export function bottleneck(b: GraphBuilder, x: Node, name: string, width: number): Node {
  const layer = (input: Node, i: number, outputs: number, kernel: number): Node =>
    b.batchNorm(b.conv(input, `${name}.conv${i}`, { outputs, kernel }), `${name}.bn${i}`);
  let y = b.relu(layer(x, 1, width, 1));
  y = b.relu(layer(y, 2, width, 3));
  y = layer(y, 3, 4 * width, 1);
  const shortcut = b.conv(x, `${name}.downsample.0`, { outputs: 4 * width, kernel: 1 });
  return b.relu(b.add(y, b.batchNorm(shortcut, `${name}.downsample.1`)));
}
