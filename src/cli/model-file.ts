import { readFileSync } from 'node:fs';

import { WidefieldError, invalidArgument } from '../core/errors.ts';
import type { ModelVariant } from '../models/model.ts';
import { modelFromFile } from '../runtime/model-file.ts';

/** Whether a network's name is the path of a `model.json`. */
export function isModelFile(name: string): boolean {
  return name.toLowerCase().endsWith('.json');
}

/** The network that a name means where commands take names: of the zoo, which stays as it is, or a `model.json`. */
export function modelOf(name: string): string | ModelVariant {
  if (!isModelFile(name)) return name;
  try {
    return modelFromFile(readJson(name));
  } catch (error) {
    if (!(error instanceof WidefieldError) || error.code === 'io') throw error;
    throw invalidArgument(`${name} describes no network: ${error.message}`);
  }
}

/** A JSON file's content. Throws `io` if it cannot be read, `invalid-argument` if it is no JSON. */
export function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new WidefieldError('io', `${file} cannot be read: check the path.`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidArgument(`${file} is no JSON: ${error instanceof Error ? error.message : String(error)}.`);
  }
}
