import { existsSync } from 'node:fs';
import path from 'node:path';

import { cannotRead } from '../checkpoints/file-source.ts';
import { WidefieldError, invalidArgument } from '../core/errors.ts';
import { readRegularFileSync } from '../core/regular-file.ts';
import type { ModelVariant } from '../models/model.ts';
import { findModel } from '../models/zoo.ts';
import { modelFromFile } from '../runtime/model-file.ts';
import { PACKAGED_MODEL, packagedModel } from '../runtime/packaged-model.ts';

/** What `widefield train` calls the weights that it puts beside a `model.json`. */
export const WEIGHTS_FILE = 'model.safetensors';

/** Whether a network's name is the path of a `model.json`. */
export function isModelFile(name: string): boolean {
  return name.toLowerCase().endsWith('.json');
}

/** The network that a name means where commands take names: of the zoo, the packaged one, or that of a `model.json`. */
export function modelOf(name: string): ModelVariant {
  if (name === PACKAGED_MODEL) return packagedModel().model;
  if (!isModelFile(name)) return findModel(name);
  try {
    return modelFromFile(readJson(name));
  } catch (error) {
    if (!(error instanceof WidefieldError) || error.code === 'io') throw error;
    throw invalidArgument(`${name} describes no network: ${error.message}`);
  }
}

/** The weights that a network has of its own: the packaged one, and those beside a `model.json`; else undefined. */
export function ownWeights(name: string): string | undefined {
  if (name === PACKAGED_MODEL) return packagedModel().weights;
  if (!isModelFile(name)) return undefined;
  const beside = path.join(path.dirname(name), WEIGHTS_FILE);
  return existsSync(beside) ? beside : undefined;
}

/** A JSON file's content. Throws `io` if it cannot be read, `invalid-argument` if it is no JSON. */
export function readJson(file: string): unknown {
  let text: string;
  try {
    text = readRegularFileSync(file).toString('utf8');
  } catch (error) {
    throw cannotRead(file, error);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidArgument(`${file} is no JSON: ${error instanceof Error ? error.message : String(error)}.`);
  }
}
