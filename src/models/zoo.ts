import { invalidArgument } from '../core/errors.ts';
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
  throw invalidArgument(`There is no model "${name}": did you mean ${nearestNames(name).join(' or ')}?`);
}

/** The graph of the network of that name; see {@link ModelVariant.build}. */
export function buildModel(name: string, options?: ModelOptions): Graph {
  return findModel(name).build(options);
}

/** The names that take the fewest edits, at most three. */
function nearestNames(name: string): string[] {
  // Spelling varies most in case and in what is between words.
  const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  const distances = modelNames().map((known) => editDistance(plain(name), plain(known)));
  const least = Math.min(...distances);
  return modelNames()
    .filter((_, i) => distances[i] === least)
    .slice(0, 3);
}

/** Levenshtein's distance: insertions, deletions and replacements of single characters. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (const [i, character] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      const replace = (row[j] ?? 0) + (character === to[j] ? 0 : 1);
      next.push(Math.min(replace, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
