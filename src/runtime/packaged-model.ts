import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import type { ModelVariant } from '../models/model.ts';
import { modelFromFile } from './model-file.ts';

/** A network whose weights come with the package. */
export interface PackagedModel {
  readonly model: ModelVariant;
  /** Path of the `model.json` that describes it. */
  readonly file: string;
  /** Path of its weights. */
  readonly weights: string;
}

/** What the packaged network is called on the command line. */
export const PACKAGED_MODEL = 'slak-fashion';

/**
 * The network that comes with the package: a small SLaK, trained on Fashion-MNIST by `widefield train`. It tells ten kinds of
 * clothes apart, on grey images of 28 × 28 pixels, bright on black.
 *
 *     const { model, weights } = packagedModel();
 *     const network = await createModel(model, { weights });
 */
export function packagedModel(): PackagedModel {
  const file = (name: string): string => packageFile(path.join('pretrained', PACKAGED_MODEL, name));
  return {
    model: modelFromFile(JSON.parse(readFileSync(file('model.json'), 'utf8'))),
    file: file('model.json'),
    weights: file('model.safetensors'),
  };
}

/** The path of a file that is shipped with the package. */
export function packageFile(name: string): string {
  const manifest = createRequire(import.meta.url).resolve('widefield/package.json');
  return path.join(path.dirname(manifest), name);
}
