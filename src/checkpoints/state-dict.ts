import { invalidArgument } from '../core/errors.ts';
import { PickleDict } from './pickle-value.ts';
import type { PickleValue } from './pickle-value.ts';
import { StoredTensor } from './stored-tensor.ts';
import { printable } from './text.ts';

export interface StateDict {
  readonly subtree: string;
  readonly subtrees: readonly string[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** Names of state dicts in training checkpoints, preferred first; the file itself comes before all. */
const PREFERRED = [
  '',
  'model',
  'state_dict',
  'model_state_dict',
  'model_state',
  'module',
  'network',
  'net',
  'params',
];
/** How many dicts deep a state dict may lie, as in `{checkpoint: {model: …}}`. */
const MAX_DEPTH = 3;
/** Subtrees that an error message names. */
const MAX_NAMED = 8;
/** What wrappers put before every key: DistributedDataParallel, torch.compile. */
const WRAPPERS = ['module.', '_orig_mod.'];
/** More of them, one around the other, are names of something else. */
const MAX_WRAPPERS = 8;

/**
 * Finds the weights in an unpickled checkpoint: the dict named `subtree` (a path such as `model_ema` or
 * `checkpoint.model`), or by default the preferred one of those that hold tensors under text keys.
 */
export function findStateDict(root: PickleValue, name: string, subtree?: string): StateDict {
  const found = tensorDicts(root);
  const subtrees = [...found.keys()];
  if (found.size === 0) {
    throw invalidArgument(
      `${name} holds no weights: save the model's state dict, a dict of tensors by name, in Python.`,
    );
  }
  const chosen = subtree ?? preferred(found);
  const tensors = found.get(chosen);
  if (tensors === undefined) {
    throw invalidArgument(
      `${name} has no subtree ${JSON.stringify(printable(chosen))}: choose ${subtrees.slice(0, MAX_NAMED).map(quoted).join(' or ')}.`,
    );
  }
  return { subtree: chosen, subtrees, tensors: withoutWrappers(tensors) };
}

/** All dicts with tensors, by path, nearest first. Each dict is visited once, however often it is shared. */
function tensorDicts(root: PickleValue): Map<string, Map<string, StoredTensor>> {
  const found = new Map<string, Map<string, StoredTensor>>();
  const seen = new Set<PickleDict>();
  let level: { readonly path: string; readonly value: PickleValue }[] = [{ path: '', value: root }];
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    const next: typeof level = [];
    for (const { path, value } of level) {
      if (!(value instanceof PickleDict) || seen.has(value)) continue;
      seen.add(value);
      const tensors = new Map<string, StoredTensor>();
      for (const [key, entry] of value.entries) {
        if (typeof key !== 'string') continue;
        if (entry instanceof StoredTensor) tensors.set(key, entry);
        else if (entry instanceof PickleDict)
          next.push({ path: path === '' ? key : `${path}.${key}`, value: entry });
      }
      if (tensors.size > 0) found.set(path, tensors);
    }
    level = next;
  }
  return found;
}

/**
 * The first by `PREFERRED`, then by nearness. Dicts of less than half as many tensors as the largest one do not count:
 * they are things like `best_accuracy`.
 */
function preferred(found: ReadonlyMap<string, ReadonlyMap<string, StoredTensor>>): string {
  const sizes = [...found.values()].map((tensors) => tensors.size);
  const largest = sizes.reduce((a, b) => Math.max(a, b));
  const [best] = [...found]
    .filter(([, tensors]) => tensors.size * 2 >= largest)
    .sort(([a], [b]) => rank(a) - rank(b));
  return best?.[0] ?? '';
}

function rank(path: string): number {
  const index = PREFERRED.indexOf(path.split('.').at(-1) ?? '');
  return index < 0 ? PREFERRED.length : index;
}

function withoutWrappers(tensors: ReadonlyMap<string, StoredTensor>): ReadonlyMap<string, StoredTensor> {
  const keys = [...tensors.keys()];
  let start = 0;
  for (let i = 0; i < MAX_WRAPPERS; i++) {
    const prefix = WRAPPERS.find((wrapper) => keys.every((key) => key.startsWith(wrapper, start)));
    if (prefix === undefined) break;
    start += prefix.length;
  }
  return start === 0 ? tensors : new Map([...tensors].map(([key, tensor]) => [key.slice(start), tensor]));
}

function quoted(subtree: string): string {
  return subtree === '' ? 'no subtree' : JSON.stringify(printable(subtree));
}
