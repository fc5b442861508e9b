import type { GraphBuilder } from '../graph/builder.ts';
import type { Node } from '../graph/graph.ts';
import { checkOddKernels, checkSizes } from './layers.ts';
import { FEATURES, defineModel, outputFeatures } from './model.ts';
import type { KeySet, ModelSettings, ModelVariant, Paper } from './model.ts';

const paper: Paper = {
  title: 'A ConvNet for the 2020s',
  authors: 'Liu, Mao, Wu, Feichtenhofer, Darrell, Xie',
  venue: 'CVPR 2022',
  url: 'https://arxiv.org/abs/2201.03545',
};

export interface ConvNeXtConfig {
  readonly name?: string;
  readonly title?: string;
  readonly resolution?: number;
  /** Blocks in each stage. */
  readonly depths: readonly number[];
  /** Channels of each stage. */
  readonly channels: readonly number[];
  /** Kernel size of the depthwise convolutions, odd; default 7. */
  readonly kernel?: number;
  /** Pixels of the input, each way, that the first convolution makes one; default 4. Small images want less. */
  readonly stem?: number;
  readonly keySets?: readonly KeySet[];
  /** The block's two linear layers are 1×1 convolutions, as in timm's small variants: only shapes of weights differ. */
  readonly convMlp?: boolean;
}

/**
 * ConvNeXt, with the names of https://github.com/facebookresearch/ConvNeXt, or timm's. Dense heads put a layer
 * norm on each feature map (`norm0` … `norm3`), which is part of the head: classifiers do not have it.
 *
 * Throws `invalid-argument` for sizes that do not go together.
 */
export function convnext(config: ConvNeXtConfig): ModelVariant {
  const { name = 'convnext', title = 'ConvNeXt', resolution = 224, kernel = 7, convMlp = false } = config;
  const keySets = config.keySets ?? (['official', 'timm'] as const);
  const { depths, channels, stem = 4 } = config;
  checkSizes(name, depths.length, { depths, channels, stem });
  checkOddKernels(name, [kernel]);
  const stride = stem * 2 ** (depths.length - 1);
  const facts = { name, family: 'convnext', title, paper, resolution, minimumResolution: stride, stride };
  return defineModel({ ...facts, keySets }, (b, image, settings) => {
    const spatial = (x: Node, block: string): Node =>
      b.conv(x, named(settings.keys, `${block}.dwconv`), {
        outputs: x.shape[3],
        kernel,
        groups: 'depthwise',
        bias: true,
      });
    convnextBody(b, image, { ...config, ...settings, convMlp, spatial });
  });
}

interface Body extends ModelSettings {
  readonly depths: readonly number[];
  readonly channels: readonly number[];
  readonly convMlp?: boolean;
  /** Pixels of the input, each way, that the first convolution makes one; default 4. */
  readonly stem?: number;
  /** What mixes pixels in a block: the depthwise convolution, or what replaces it. */
  readonly spatial: (x: Node, block: string, stage: number) => Node;
}

/** The network around the depthwise convolutions, which SLaK shares. */
export function convnextBody(b: GraphBuilder, image: Node, body: Body): void {
  const { depths, channels, keys, classes, convMlp = false, stem = 4, spatial } = body;
  const key = (name: string): string => named(keys, name);
  const output = (name: string, node: Node): Node => b.output(key(name), node);

  const mlp = (x: Node, name: string, outputs: number): Node =>
    convMlp
      ? b.conv(x, key(name), { outputs, kernel: 1, padding: 0, bias: true })
      : b.linear(x, key(name), outputs);

  const block = (x: Node, name: string, stage: number): Node => {
    let y = b.layerNorm(spatial(x, name, stage), key(`${name}.norm`));
    y = b.activation(mlp(y, `${name}.pwconv1`, 4 * x.shape[3]), 'gelu');
    y = b.layerScale(mlp(y, `${name}.pwconv2`, x.shape[3]), key(`${name}.gamma`));
    return b.add(x, y);
  };

  let x = image;
  const stages = depths.map((depth, i) => {
    const outputs = channels[i] ?? 0;
    const [first, second] = [key(`downsample_layers.${i}.0`), key(`downsample_layers.${i}.1`)];
    const patches = (size: number) => ({ outputs, kernel: size, stride: size, padding: 0, bias: true });
    x =
      i === 0
        ? b.layerNorm(b.conv(x, first, patches(stem)), second)
        : b.conv(b.layerNorm(x, first), second, patches(2));
    output(`downsample_layers.${i}`, x);
    for (let j = 0; j < depth; j++) x = block(x, `stages.${i}.${j}`, i);
    return output(`stages.${i}`, x);
  });
  if (stages.length === FEATURES.length) outputFeatures(b, stages);

  x = output('norm', b.layerNorm(b.globalPool(x), key('norm')));
  b.output('logits', b.linear(x, key('head'), classes));
}

/** timm's name for an official module or parameter. */
export function convnextTimmKey(official: string): string {
  return official
    .replace(/^head(?=\.|$)/, 'head.fc')
    .replace(/^norm(?=\.|$)/, 'head.norm')
    .replace(/^downsample_layers\.0/, 'stem')
    .replace(/^downsample_layers\.(\d)/, 'stages.$1.downsample')
    .replace(/^stages\.(\d)\.(\d)/, 'stages.$1.blocks.$2')
    .replace('.dwconv', '.conv_dw')
    .replace('.pwconv', '.mlp.fc');
}

function named(keys: KeySet, official: string): string {
  return keys === 'timm' ? convnextTimmKey(official) : official;
}

// timm's own variants, which its evaluation sees at 288.
const small = { resolution: 288, keySets: ['timm'], convMlp: true } as const;

// prettier-ignore
export const convnextVariants: readonly ModelVariant[] = [
  convnext({ name: 'convnext-femto', title: 'ConvNeXt-F', depths: [2, 2, 6, 2], channels: [48, 96, 192, 384], ...small }),
  convnext({ name: 'convnext-pico', title: 'ConvNeXt-P', depths: [2, 2, 6, 2], channels: [64, 128, 256, 512], ...small }),
  convnext({ name: 'convnext-nano', title: 'ConvNeXt-N', depths: [2, 2, 8, 2], channels: [80, 160, 320, 640], ...small }),
  convnext({ name: 'convnext-tiny', title: 'ConvNeXt-T', depths: [3, 3, 9, 3], channels: [96, 192, 384, 768] }),
  convnext({ name: 'convnext-small', title: 'ConvNeXt-S', depths: [3, 3, 27, 3], channels: [96, 192, 384, 768] }),
  convnext({ name: 'convnext-base', title: 'ConvNeXt-B', depths: [3, 3, 27, 3], channels: [128, 256, 512, 1024] }),
  convnext({ name: 'convnext-large', title: 'ConvNeXt-L', depths: [3, 3, 27, 3], channels: [192, 384, 768, 1536] }),
];
