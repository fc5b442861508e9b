import { invalidArgument } from '../core/errors.ts';
import { checkFloats } from '../core/floats.ts';
import type { CompileOptions, Device, Executable, RunOptions, StepTime } from '../devices/device.ts';
import type { Candidate } from '../kernels/family.ts';
import { encode, signature as signatureOf } from '../kernels/signature.ts';
import type { Signature } from '../kernels/signature.ts';
import type { Problem } from '../kernels/problem.ts';
import { chooseCandidate } from './planner.ts';
import type { TuningRecords } from './tuning-file.ts';
import { ProgramBuilder } from './program.ts';

export interface OpOptions extends CompileOptions {
  /** Use this candidate for the problem instead of the planner's choice. */
  readonly candidate?: Candidate;
  /** Measurements that the planner prefers to its estimates. */
  readonly tuning?: TuningRecords;
}

/** One op, compiled, with its memory: the engine's smallest useful thing. */
export interface OpSession {
  readonly signature: Signature;
  /** The chosen algorithm and configuration, for people. */
  readonly config: string;
  /** The memory of an input, [rows, pitch]: write it before `run`. */
  input(name?: string): Float32Array;
  /** The memory of the output, [rows, pitch]: valid until the next `run`. */
  readonly output: Float32Array;
  run(options?: RunOptions): Promise<void>;
  profile(options?: RunOptions): Promise<StepTime[]>;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Plans, compiles and prepares one op on a device.
 *
 * @param weights by name, in PyTorch's order and exactly the signature's sizes
 * Throws `invalid-argument` for impossible problems, for weights or a candidate that do not fit, and what `Device.compile`
 * throws.
 */
export async function createOp(
  device: Device,
  problem: Problem,
  weights: Readonly<Record<string, Float32Array>>,
  options: OpOptions = {},
): Promise<OpSession> {
  const signature = signatureOf(problem);
  checkWeights(signature, weights);
  const candidate = options.candidate ?? chooseCandidate(problem, device.caps, options.tuning);
  // Its code goes by its own problem's sizes, and nothing stops native code at the end of its memory.
  if (encode(candidate.problem) !== signature.key) {
    throw invalidArgument(
      'This candidate computes another problem: take one of candidates(problem, device.caps).',
    );
  }
  const builder = new ProgramBuilder();
  const activations = new Map(
    [...signature.inputs, signature.output].map((tensor) => [
      tensor.name,
      builder.allocate('arena', tensor.rows * tensor.pitch),
    ]),
  );
  const group = builder.add(problem.op, signature, candidate, activations);
  const executable = await device.compile(builder.build(), options);
  try {
    if (group !== undefined) {
      const staging = executable.view('staging');
      for (const [name, slot] of group.staging) staging.set(weights[name] ?? [], slot.offset);
      await executable.prepare(group.index);
      executable.view('arena').fill(0);
    }
  } catch (error) {
    await executable.dispose();
    throw error;
  }
  const view = (name: string): Float32Array => {
    const tensor = [...signature.inputs, signature.output].find((t) => t.name === name);
    const slot = activations.get(name);
    if (tensor === undefined || slot === undefined) {
      throw invalidArgument(
        `This ${problem.op} has no tensor ${name}: ${[...activations.keys()].join(', ')}.`,
      );
    }
    return executable.view('arena').subarray(slot.offset, slot.offset + tensor.rows * tensor.pitch);
  };
  return session(executable, signature, `${candidate.family} ${describeConfig(candidate)}`, view);
}

/** A candidate's configuration as `name=value` pairs. */
export function describeConfig(candidate: Candidate): string {
  return Object.entries(candidate.config)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

function session(
  executable: Executable,
  signature: Signature,
  config: string,
  view: (name: string) => Float32Array,
): OpSession {
  return {
    signature,
    config,
    input: (name = 'x') => view(name),
    get output() {
      return view('y');
    },
    run: (options) => executable.run(options),
    profile: (options) => executable.profile(options),
    dispose: () => executable.dispose(),
    [Symbol.asyncDispose]: () => executable.dispose(),
  };
}

/** Callers without types may pass anything, or forget the weights. */
function checkWeights(
  signature: Signature,
  weights: Readonly<Record<string, Float32Array>> | null | undefined,
): void {
  if (typeof weights !== 'object' || weights === null) {
    throw invalidArgument(
      'createOp needs weights by name: give { NAME: Float32Array, … }, or {} for an op that has none.',
    );
  }
  for (const { name, shape } of signature.weights) {
    const wanted = shape.reduce((a, b) => a * b, 1);
    const given = weights[name];
    if (given !== undefined) checkFloats(given, `The weight ${name}`);
    const got = given?.length;
    if (got !== wanted) {
      throw invalidArgument(
        `The weight ${name} must have ${wanted} values [${shape.join(', ')}], got ${got ?? 'none'}.`,
      );
    }
  }
  const known = new Set(signature.weights.map((weight) => weight.name));
  const stray = Object.keys(weights).find((name) => !known.has(name));
  if (stray !== undefined) throw invalidArgument(`This op has no weight ${stray}.`);
}
