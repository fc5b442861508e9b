import { invalidArgument, shortened } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import type { Graph } from '../graph/graph.ts';
import { convfirstVariants } from './convfirst.ts';
import { convnextVariants } from './convnext.ts';
import { efficientnetVariants } from './efficientnet.ts';
import { mobilenetVariants } from './mobilenet.ts';
import type { ModelOptions, ModelVariant } from './model.ts';
import { replknetVariants } from './replknet.ts';
import { resnetVariants } from './resnet.ts';
import { slakVariants } from './slak.ts';

/** Every network that has a name, family by family, small to large. */
export const variants: readonly ModelVariant[] = [
  ...replknetVariants,
  ...slakVariants,
  ...convnextVariants,
  ...convfirstVariants,
  ...resnetVariants,
  ...mobilenetVariants,
  ...efficientnetVariants,
];

/** The names of all networks. */
export function modelNames(): readonly string[] {
  return variants.map(({ name }) => name);
}

/** The network of that name. Throws `invalid-argument`, with the nearest names, if there is none. */
export function findModel(name: string): ModelVariant {
  const found = variants.find((variant) => variant.name === name);
  if (found !== undefined) return found;
  throw invalidArgument(
    `There is no model "${shortened(name)}": did you mean ${nearestNames(name, modelNames()).join(' or ')}?`,
  );
}

/** The graph of the network of that name; see {@link ModelVariant.build}. */
export function buildModel(name: string, options?: ModelOptions): Graph {
  return findModel(name).build(options);
}
