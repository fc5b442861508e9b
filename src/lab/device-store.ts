import path from 'node:path';

import { writeWhole } from '../checkpoints/write-file.ts';
import { userCacheFolder } from '../core/cache-folder.ts';
import { WidefieldError } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import { makeFolders } from '../core/make-folders.ts';
import { readRegularFile } from '../core/regular-file.ts';
import { parseDevice } from './devices.ts';
import type { DeviceRecord } from './devices.ts';

/** Where the record of this machine is kept by default: `device.json` in the user's cache folder. Throws `io` without a home. */
export async function defaultDeviceFile(): Promise<string> {
  return path.join(await userCacheFolder(), 'device.json');
}

/** Reads a device record. Throws `invalid-argument` or `io`, naming the file. */
export async function readDeviceFile(file: string): Promise<DeviceRecord> {
  const record = await readIfPresent(file);
  if (record !== undefined) return record;
  throw new WidefieldError('io', `There is no device record ${file}.`);
}

/** The stored record of this machine; undefined if it has not been measured. Throws as {@link readDeviceFile} does. */
export async function loadThisDevice(file?: string): Promise<DeviceRecord | undefined> {
  return readIfPresent(file ?? (await defaultDeviceFile()), ' Measure again with `widefield lab device`.');
}

/** Stores the record of this machine; the file is replaced in one step. Throws `io`, naming the file. */
export async function saveThisDevice(record: DeviceRecord, wanted?: string): Promise<void> {
  const file = wanted ?? (await defaultDeviceFile());
  try {
    await makeFolders(path.dirname(file));
    await writeWhole(file, [`${JSON.stringify(record, undefined, 2)}\n`]);
  } catch (error) {
    if (error instanceof WidefieldError) throw error; // names the file
    throw new WidefieldError('io', `The device record ${file} cannot be written: ${explain(error)}.`, {
      cause: error,
    });
  }
}

/** @param remedy of a damaged record, said after what is wrong */
async function readIfPresent(file: string, remedy = ''): Promise<DeviceRecord | undefined> {
  let text: string;
  try {
    text = (await readRegularFile(file)).toString('utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new WidefieldError('io', `The device record ${file} cannot be read: ${explain(error)}.`, {
      cause: error,
    });
  }
  try {
    return parseDevice(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof WidefieldError ? error.message : 'It is not JSON.';
    throw new WidefieldError('invalid-argument', `${file}: ${reason}${remedy}`, { cause: error });
  }
}
