import path from 'node:path';

import { writeWhole } from '../checkpoints/write-file.ts';
import { userCacheFolder } from '../core/cache-folder.ts';
import { WidefieldError } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import { makeFolders } from '../core/make-folders.ts';
import { readRegularFile } from '../core/regular-file.ts';
import { formatTuning, parseTuning, recordKey } from './tuning-file.ts';
import type { TuningRecord, TuningRecords } from './tuning-file.ts';

/** Where measurements are kept by default: `tuning.json` in the user's cache folder. Throws `io` without a home. */
export async function defaultTuningFile(): Promise<string> {
  return path.join(await userCacheFolder(), 'tuning.json');
}

/** Reads a tuning file (default: the user's); a missing one is empty. Throws `invalid-argument` or `io`, naming the file. */
export async function loadTuning(wanted?: string): Promise<Map<string, TuningRecord>> {
  const file = wanted ?? (await defaultTuningFile());
  let text: string;
  try {
    text = (await readRegularFile(file)).toString('utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Map();
    throw new WidefieldError('io', `The tuning file ${file} cannot be read: ${explain(error)}.`, {
      cause: error,
    });
  }
  try {
    return parseTuning(text);
  } catch (error) {
    throw new WidefieldError('invalid-argument', `${file}: ${error instanceof Error ? error.message : ''}`, {
      cause: error,
    });
  }
}

/**
 * Adds records to a tuning file (default: the user's), keeping what is there; the file is replaced in one step.
 * Of savings at the same time one may not see the other's records: wait for each.
 * Throws as {@link loadTuning} does: a file that is something else is left alone.
 */
export async function saveTuning(added: Iterable<TuningRecord>, wanted?: string): Promise<TuningRecords> {
  const file = wanted ?? (await defaultTuningFile());
  const records = await loadTuning(file);
  for (const record of added) records.set(recordKey(record.machine, record.problem), record);
  try {
    await makeFolders(path.dirname(file));
    await writeWhole(file, [formatTuning(records)]);
  } catch (error) {
    if (error instanceof WidefieldError) throw error; // names the file
    throw new WidefieldError('io', `The tuning file ${file} cannot be written: ${explain(error)}.`, {
      cause: error,
    });
  }
  return records;
}
