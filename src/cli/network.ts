import { throwIfAborted } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import { draftModel, fitModel } from '../runtime/fit.ts';
import type { FitOptions, Fitted } from '../runtime/fit.ts';
import { openDevice } from '../runtime/open.ts';
import type { DeviceName } from '../runtime/open.ts';
import { openWeights } from '../runtime/weights.ts';
import type { CommandContext } from './context.ts';
import { modelOf } from './model-file.ts';
import type { WeightOptions } from './model-options.ts';
import { withDownloadBar } from './progress.ts';

/** What commands that work on graphs need of `--device`. */
export interface DeviceOptions {
  readonly device: DeviceName;
  readonly threads: number;
}

/** A device for the time of `use`. */
export async function withDevice<T>(
  { device: name, threads }: DeviceOptions,
  { signal, warn }: CommandContext,
  use: (device: Device) => Promise<T>,
): Promise<T> {
  const device = await openDevice(name, { threads, signal });
  try {
    // Where a compiler was expected but is missing, the device says so.
    if (name === 'auto' && device.caps.name !== 'native') warn(device.note);
    return await use(device);
  } finally {
    await device.dispose();
  }
}

/**
 * The graph of a network, by name or `model.json`, with weights that fit it, which stay open for the time of `use`.
 */
export async function withNetwork<T>(
  name: string,
  options: WeightOptions & { readonly weights: string } & FitOptions,
  { signal, warn }: CommandContext,
  use: (network: Fitted) => Promise<T>,
): Promise<T> {
  const { weights, subtree } = options;
  // What no weights would fit is not worth a download.
  const { variant } = draftModel(modelOf(name), options);
  const source = await withDownloadBar((onProgress) =>
    openWeights(weights, {
      signal,
      onWarning: warn,
      onProgress,
      ...(subtree !== undefined && { subtree }),
    }),
  );
  try {
    throwIfAborted(signal);
    const fitted = fitModel(variant, source, options);
    fitted.warnings.forEach(warn);
    return await use(fitted);
  } finally {
    await source?.close();
  }
}
