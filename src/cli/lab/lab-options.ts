import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

import { describeMachine } from '../../bench/machine.ts';
import { WidefieldError } from '../../core/errors.ts';
import type { Graph } from '../../graph/graph.ts';
import { kernelCosts } from '../../lab/costs.ts';
import type { KernelCost } from '../../lab/costs.ts';
import { loadThisDevice, readDeviceFile } from '../../lab/device-store.ts';
import { DTYPES, defaultDtype, findDevice } from '../../lab/devices.ts';
import type { DeviceRecord, Dtype } from '../../lab/devices.ts';
import { SQUEEZE_EXCITE } from '../../lab/gates.ts';
import type { SqueezeExcite } from '../../lab/gates.ts';
import { THIS_DEVICE } from '../../lab/measure-device.ts';
import type { CommandContext } from '../context.ts';
import { modelOf } from '../model-file.ts';
import { resolutionOption } from '../model-options.ts';
import { parseBatch, parseModel } from '../options.ts';
import type { Resolution } from '../options.ts';
import { isOnnxFile, openOwnNetwork } from './own-network.ts';
import { withOutputOptions } from './present.ts';
import type { OutputOptions } from './present.ts';

/** On what. */
export interface DeviceOptions extends OutputOptions {
  readonly device: string;
  readonly dtype?: Dtype;
}

/** Which kernels of which networks. */
export interface KernelOptions extends DeviceOptions {
  readonly batch: number;
  readonly resolution?: Resolution;
  readonly fused?: boolean;
  readonly squeezeExcite: SqueezeExcite;
}

/** The paper's batch. */
export const DEFAULT_BATCH = 128;
/** The paper's device. */
export const DEFAULT_DEVICE = 'a5000';

/**
 * `--device`, `--dtype`, `--json`, `--out`.
 *
 * @param device the default
 * @param dtype that a command takes where the device has it
 */
export function withDeviceOptions(
  command: Command,
  device: string = DEFAULT_DEVICE,
  dtype: Dtype = 'f16',
): Command {
  return withOutputOptions(
    command
      .option('--device <name>', 'a device on record, "this" machine, or a .json file', device)
      .addOption(
        new Option(
          '--dtype <type>',
          `of operations and data (default: ${dtype}, or what the device has)`,
        ).choices(DTYPES),
      ),
  );
}

/** The options of {@link withDeviceOptions}, `--batch`, `--resolution`, `--fused`, `--squeeze-excite`. */
export function withKernelOptions(command: Command): Command {
  return withDeviceOptions(withBatchOption(command))
    .addOption(resolutionOption("of the input of every network, or HxW (default: each one's own)"))
    .option('--fused', 'one kernel for each fusible block instead of each layer')
    .addOption(
      new Option('--squeeze-excite <how>', 'where its pooling and product happen, layer-wise')
        .choices(SQUEEZE_EXCITE)
        .default('auto'),
    );
}

export function withBatchOption(command: Command): Command {
  return command.addOption(
    new Option('--batch <count>', 'images').argParser(parseBatch).default(DEFAULT_BATCH),
  );
}

/**
 * The record that `--device` names. Warns if "this" was another machine when it was measured.
 * Throws `invalid-argument` or `io`.
 */
export async function resolveDevice(
  name: string,
  { warn }: Pick<CommandContext, 'warn'>,
): Promise<DeviceRecord> {
  if (name.endsWith('.json')) return readDeviceFile(name);
  if (name !== THIS_DEVICE) return findDevice(name);
  const record = await loadThisDevice();
  if (record !== undefined) {
    const { cpu } = describeMachine();
    if (record.title !== cpu) {
      warn(`"this" was measured on ${record.title}, and not on ${cpu}: run \`widefield lab device\`.`);
    }
    return record;
  }
  throw new WidefieldError(
    'invalid-argument',
    'This machine has not been measured: run `widefield lab device` first.',
  );
}

/** A network's kernels on a device. */
export interface ModelKernels {
  readonly model: string;
  readonly resolution: Resolution;
  readonly batch: number;
  readonly dtype: Dtype;
  readonly fused: boolean;
  readonly device: DeviceRecord;
  readonly kernels: readonly KernelCost[];
}

/** The kernels of each network, as {@link KernelOptions} say. */
export async function modelKernels(
  models: readonly string[],
  options: KernelOptions,
  context: Pick<CommandContext, 'warn'>,
): Promise<ModelKernels[]> {
  const device = await resolveDevice(options.device, context);
  const { batch, squeezeExcite, fused = false, dtype = defaultDtype(device) } = options;
  const results: ModelKernels[] = [];
  for (const model of models) {
    const { resolution, graph } = await buildNetwork(model, options);
    const kernels = kernelCosts(graph, { dtype, fused, squeezeExcite });
    results.push({ model, resolution, batch, dtype, fused, device, kernels });
  }
  return results;
}

/** A network of the zoo, or that of an ONNX file. */
async function buildNetwork(
  model: string,
  { batch, resolution }: KernelOptions,
): Promise<{ resolution: Resolution; graph: Graph }> {
  if (!isOnnxFile(model)) {
    const variant = modelOf(model);
    const pixels = resolution ?? variant.resolution;
    return { resolution: pixels, graph: variant.build({ batch, resolution: pixels }) };
  }
  const { graph } = await openOwnNetwork(model, { batch, ...(resolution !== undefined && { resolution }) });
  const [, height, width] = graph.input.shape;
  return { resolution: [height, width], graph };
}

/** A name of the zoo, or the path of an ONNX file. */
export function parseNetwork(text: string): string {
  return isOnnxFile(text) ? text : parseModel(text);
}

/** One result as an object, several as a list. */
export function oneOrList(results: readonly unknown[]): unknown {
  return results.length === 1 ? results[0] : results;
}

/** `convfirst-small at 256×256, batch 128, f16, layer-wise, on NVIDIA …`. */
export function titleOf(facts: ModelKernels): string {
  return `${networkOf(facts)}, ${settingOf(facts)}`;
}

/** `convfirst-small at 256×256`. */
export function networkOf({ model, resolution }: ModelKernels): string {
  const [height, width] = typeof resolution === 'number' ? [resolution, resolution] : resolution;
  return `${model} at ${height}×${width}`;
}

/** `batch 128, f16, layer-wise, on NVIDIA …`: the same for all networks of a command. */
export function settingOf({
  batch,
  dtype,
  fused,
  device,
}: Omit<ModelKernels, 'model' | 'resolution'>): string {
  return `batch ${batch}, ${dtype}, ${fused ? 'blocks fused' : 'layer-wise'}, on ${device.title}`;
}

export function formatPercent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)}%`;
}

/** A positive number. */
export function parsePositive(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('Use a number above 0.');
  return value;
}
