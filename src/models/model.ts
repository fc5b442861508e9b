import { invalidArgument } from '../core/errors.ts';
import { GraphBuilder } from '../graph/builder.ts';
import type { Graph, Node, Shape } from '../graph/graph.ts';

/** Whose names a network's parameters have: the authors' repository, or timm (PyTorch Image Models). */
export type KeySet = 'official' | 'timm';

export interface ModelOptions {
  /** Images a run; default 1. */
  readonly batch?: number;
  /** Pixels of the square input, or [height, width]; default: the variant's own resolution. */
  readonly resolution?: number | readonly [height: number, width: number];
  /** Outputs of the classifier; default 1000. */
  readonly classes?: number;
  /** Names of the parameters; default: the first of the variant's {@link ModelVariant.keySets}. */
  readonly keys?: KeySet;
  /**
   * Build the re-parameterized form, with the official names of merged kernels (`lkb_reparam`); default false.
   * Networks that have nothing to merge are the same either way.
   */
  readonly deploy?: boolean;
}

/** Where a network was published. */
export interface Paper {
  readonly title: string;
  readonly authors: string;
  readonly venue: string;
  readonly url: string;
}

/** What is known of a network before it is built. */
export interface ModelFacts {
  /** As on the command line: `replknet-31b`. */
  readonly name: string;
  readonly family: string;
  /** As the paper writes it: `RepLKNet-31B`. */
  readonly title: string;
  readonly paper: Paper;
  /** Pixels that its published evaluation uses. */
  readonly resolution: number;
  /** Smallest height and width that every layer can work on. */
  readonly minimumResolution: number;
  /** Pixels of the input for one of the last feature map; other input sizes work, rounded as PyTorch does. */
  readonly stride: number;
  readonly keySets: readonly KeySet[];
  /** What its classes are called, where somebody trained it for classes of their own. */
  readonly labels?: readonly string[];
  /** How photos are prepared for it at its resolution, where its name does not tell. */
  readonly photos?: PhotoTransform;
}

/** How photos become a network's input: resized, the centre cut out, normalised. */
export interface PhotoTransform {
  /**
   * The photo keeps its ratio and becomes just so large that it covers the crop's shape with so many pixels on the shorter
   * side; with a square, these are the photo's shorter side. `warp`: its sides become those of `crop`.
   */
  readonly resize: number | 'warp';
  /** What the network sees of the centre, in pixels: a square's side, or height and width. */
  readonly crop: number | readonly [height: number, width: number];
  readonly interpolation: 'bilinear' | 'bicubic';
  /** Subtracted from red, green and blue between 0 and 1. */
  readonly mean: readonly [number, number, number];
  /** What the difference is divided by. */
  readonly std: readonly [number, number, number];
}

/** A network of the zoo, or one made by a family's function, such as `slak({ … })`. */
export interface ModelVariant extends ModelFacts {
  /**
   * The network as a graph: input [N, H, W, 3], output `logits` [N, 1, 1, classes]. Further outputs are the four
   * {@link FEATURES}, if it has four stages, and the outputs of the official modules, by their names; `selectOutputs` drops what is
   * not wanted. Throws `invalid-argument` for options that do not fit.
   */
  build(options?: ModelOptions): Graph;
}

/**
 * Names of the outputs that dense tasks use: the maps of the four stages, in published networks the last ones at
 * strides 4, 8, 16 and 32. They are what the stages give, without the norms that some detection and segmentation heads
 * bring along. Networks with another number of stages do not have them.
 */
export const FEATURES = ['stage1', 'stage2', 'stage3', 'stage4'] as const;

/** Options, checked, as families see them. */
export interface ModelSettings {
  readonly classes: number;
  readonly keys: KeySet;
  readonly deploy: boolean;
}

/** Makes a variant of its facts and of a function that builds its layers. */
export function defineModel(
  facts: ModelFacts,
  layers: (b: GraphBuilder, image: Node, settings: ModelSettings) => void,
): ModelVariant {
  return {
    ...facts,
    build(options = {}) {
      const { classes = 1000, keys = facts.keySets[0] ?? 'official', deploy = false } = options;
      checkCount('classes', classes);
      if (!facts.keySets.includes(keys)) {
        throw invalidArgument(
          `${facts.name} has no ${keys} keys: use ${facts.keySets.map((set) => `"${set}"`).join(' or ')}.`,
        );
      }
      const b = new GraphBuilder(facts.name);
      layers(b, b.input(inputShape(facts, options)), { classes, keys, deploy });
      return b.build();
    },
  };
}

/** Names the four feature maps of a network, finest first. */
export function outputFeatures(b: GraphBuilder, maps: readonly Node[]): void {
  if (maps.length !== FEATURES.length) {
    throw invalidArgument(`A network has ${FEATURES.length} feature maps, got ${maps.length}.`);
  }
  maps.forEach((map, i) => b.output(FEATURES[i] ?? '', map));
}

function inputShape(facts: ModelFacts, { batch = 1, resolution = facts.resolution }: ModelOptions): Shape {
  checkCount('batch', batch);
  const [height, width] = typeof resolution === 'number' ? [resolution, resolution] : resolution;
  checkCount('resolution', height);
  checkCount('resolution', width);
  if (Math.min(height, width) < facts.minimumResolution) {
    throw invalidArgument(
      `${facts.name} needs an input of at least ${facts.minimumResolution}×${facts.minimumResolution} pixels, got ${height}×${width}.`,
    );
  }
  return [batch, height, width, 3];
}

function checkCount(what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw invalidArgument(`The ${what} must be a positive integer, got ${value}.`);
  }
}
