import type { DeviceCaps } from '../core/caps.ts';
import type { Device, Executable } from '../devices/device.ts';
import { channelPitch } from '../kernels/problem.ts';
import type { DepthwiseProblem, Padding, Problem } from '../kernels/problem.ts';
import { signature as signatureOf } from '../kernels/signature.ts';
import type { TensorSpec } from '../kernels/signature.ts';
import { describeConfig } from '../runtime/op.ts';
import { copyPixels } from '../runtime/pixels.ts';
import { chooseCandidate } from '../runtime/planner.ts';
import { ProgramBuilder } from '../runtime/program.ts';
import { timer } from './engine.ts';
import type { LayerEngine } from './engine.ts';
import { LAYER_PARTS } from './train-layer-case.ts';
import type { LayerCase, LayerPart } from './train-layer-case.ts';
import { tuneProblem } from './tuning.ts';
import type { TuningOptions } from './tuning.ts';
import type { OpenedDevice } from './widefield-model.ts';

/** A depthwise layer in training on one of our devices: an engine for each part. */
export async function prepareLayer(
  opened: OpenedDevice,
  test: LayerCase,
  options: TuningOptions,
): Promise<LayerEngine[]> {
  const engines: LayerEngine[] = [];
  try {
    for (const part of LAYER_PARTS) engines.push(await preparePart(opened, test, part, options));
    return engines;
  } catch (error) {
    await Promise.all(engines.map((engine) => engine.dispose()));
    throw error;
  }
}

async function preparePart(
  { device, name, peakGflops, tuning }: OpenedDevice,
  test: LayerCase,
  part: LayerPart,
  options: TuningOptions,
): Promise<LayerEngine> {
  const { signal, tune } = options;
  const problem = problemOf(test.problem, part, device.caps);
  if (tune) await tuneProblem(device, problem, tuning, options);
  const begin = performance.now();
  const op = await compilePart(device, problem, test.weight, { tuning, ...(signal && { signal }) });
  const setupMs = performance.now() - begin;
  // The gradient to the input reads dy where the layer reads x.
  op.write('x', part === 'input gradient' ? test.gradient : test.input);
  if (part === 'weight gradient') op.write('dy', test.gradient);
  return {
    part,
    name: `widefield-${name}`,
    device: name,
    threads: device.caps.threads,
    config: op.config,
    timingIncludes:
      'the operation on data that lies in the device’s memory, and packing its weights, which change from step to step',
    setupMs,
    peakGflops,
    time: timer(() => op.executable.run()),
    output: () => Promise.resolve(op.read()),
    dispose: () => op.executable.dispose(),
  };
}

/** A part of a layer as the problem that a network's training graph would have for it. */
function problemOf(layer: DepthwiseProblem, part: LayerPart, caps: DeviceCaps): Problem {
  const lanes = caps.lanes[0] ?? 1;
  const problem = { ...layer, pitch: channelPitch(layer.channels, lanes) };
  switch (part) {
    case 'forward':
      return problem;
    case 'input gradient':
      return { ...problem, padding: adjointPadding(layer), adjoint: true };
    case 'weight gradient': {
      const { channels, pitch, batch, height, width, kernelHeight, kernelWidth } = problem;
      const { stride, dilation, padding } = problem;
      return {
        op: 'depthwise-weight-gradient',
        ...{ batch, height, width, kernelHeight, kernelWidth, stride, dilation, padding, channels, pitch },
        gradientPitch: channelPitch(channels * kernelHeight * kernelWidth, lanes),
      };
    }
  }
}

function adjointPadding({ kernelHeight, kernelWidth, padding }: DepthwiseProblem): Padding {
  const { top, bottom, left, right } = padding;
  return {
    top: kernelHeight - 1 - top,
    bottom: kernelHeight - 1 - bottom,
    left: kernelWidth - 1 - left,
    right: kernelWidth - 1 - right,
  };
}

interface CompiledPart {
  readonly executable: Executable;
  readonly config: string;
  /** Fills an input from dense values. */
  write(name: string, values: Float32Array): void;
  /** The output, dense. */
  read(): Float32Array;
}

/** One op with its weight in memory, packed anew in each run as in training. */
async function compilePart(
  device: Device,
  problem: Problem,
  weight: Float32Array,
  { tuning, signal }: { readonly tuning: OpenedDevice['tuning']; readonly signal?: AbortSignal },
): Promise<CompiledPart> {
  const signature = signatureOf(problem);
  const candidate = chooseCandidate(problem, device.caps, tuning);
  const builder = new ProgramBuilder();
  const slots = new Map(
    [...signature.inputs, signature.output].map(
      ({ name, rows, pitch }) => [name, builder.allocate('arena', rows * pitch)] as const,
    ),
  );
  const weights = new Map(
    signature.weights.map(({ name }) => [name, builder.allocate('weights', weight.length)] as const),
  );
  builder.addTrained(problem.op, signature, candidate, slots, weights);
  const executable = await device.compile(builder.build(), signal ? { signal } : {});
  for (const { offset } of weights.values()) executable.view('weights').set(weight, offset);
  const view = ({ name, rows, pitch }: TensorSpec): Float32Array => {
    const { offset } = slots.get(name) ?? { offset: 0 };
    return executable.view('arena').subarray(offset, offset + rows * pitch);
  };
  return {
    executable,
    config: `${candidate.family} ${describeConfig(candidate)}`,
    write: (name, values) => {
      const tensor = signature.inputs.find((input) => input.name === name);
      if (tensor !== undefined) copyPixels(values, tensor.channels, view(tensor), tensor.pitch);
    },
    read: () => {
      const { rows, channels, pitch } = signature.output;
      const dense = new Float32Array(rows * channels);
      copyPixels(view(signature.output), pitch, dense, channels);
      return dense;
    },
  };
}
