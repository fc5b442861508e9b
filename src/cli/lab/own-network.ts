import type { ImportedOnnx } from '../../checkpoints/onnx/import.ts';
import type { Device } from '../../devices/device.ts';
import { optimize } from '../../graph/passes/index.ts';
import { optimizeFor } from '../../runtime/plan.ts';
import { createSession } from '../../runtime/session.ts';
import type { Session } from '../../runtime/session.ts';
import type { Resolution } from '../options.ts';

export interface OwnNetworkOptions {
  readonly batch: number;
  /** Where the file leaves it open. */
  readonly resolution?: Resolution;
}

/** Whether a network's name is the path of a file. */
export function isOnnxFile(name: string): boolean {
  return name.toLowerCase().endsWith('.onnx');
}

/** A network from an ONNX file. Throws what `openOnnx` throws. */
export async function openOwnNetwork(
  file: string,
  { batch, resolution }: OwnNetworkOptions,
): Promise<ImportedOnnx> {
  const { openOnnx } = await import('../../checkpoints/onnx/import-file.ts');
  return openOnnx(file, { batch, ...(resolution !== undefined && { resolution }) });
}

/** The same on a device, merged and fused as networks of the zoo are. */
export async function runOwnNetwork(
  file: string,
  device: Device,
  options: OwnNetworkOptions & { readonly signal?: AbortSignal },
): Promise<Session> {
  const { graph, weights } = await openOwnNetwork(file, options);
  const fused = optimize(graph, optimizeFor(device.caps));
  return createSession(device, fused, weights, options.signal ? { signal: options.signal } : {});
}
