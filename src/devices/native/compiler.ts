import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';

import { WidefieldError, throwIfAborted } from '../../core/errors.ts';
import type { LibraryCache } from './cache.ts';
import { EXECUTOR_SOURCE } from './executor.ts';

const execute = promisify(execFile);

/** The system's C compiler, and what it says of this machine. */
export interface Compiler {
  /** As found on the PATH or named by the user. */
  readonly command: string;
  /** First line of `--version`. */
  readonly version: string;
  readonly flags: readonly string[];
  /** Floats in the machine's widest vectors. */
  readonly lanes: number;
  readonly vectorRegisters: number;
  readonly fma: boolean;
  /** Whether vectors of any width have an instruction for products of bfloat16. */
  readonly bf16: boolean;
  /** Changes whenever the same source might compile to other code. */
  readonly fingerprint: string;
}

/**
 * Flags beyond the machine's: exact enough (no -ffast-math), with fused multiply-adds. Predictive commoning
 * carries loaded values from turn to turn of a loop; where windows overlap, those push accumulators out of
 * their registers (a 3×3 convolution of group width 8 took three times as long).
 */
const BASE_FLAGS = [
  '-std=gnu11',
  '-O3',
  '-fPIC',
  '-shared',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-fno-predictive-commoning',
  '-ffp-contract=fast',
  '-Wno-psabi',
];

/** How long a compiler may take to say what it is: seconds. Over a slow network it takes one. */
const ANSWER_SECONDS = 10;

/** A compiler that works, and the path of the executor library (`executor.ts`), which it has made. */
export interface Toolchain {
  readonly compiler: Compiler;
  readonly executor: string;
}

/**
 * Finds a working C compiler, which is one that makes the executor: the named one, else `cc`, `gcc`, `clang`.
 * `extraFlags` follow Widefield's own.
 * Throws `unsupported` with the reasons if there is none, `aborted`, and `io` if the cache cannot be written.
 */
export async function findCompiler(
  cache: LibraryCache,
  command?: string,
  extraFlags: readonly string[] = [],
  signal?: AbortSignal,
): Promise<Toolchain> {
  const commands = command === undefined ? ['cc', 'gcc', 'clang'] : [command];
  const reasons: string[] = [];
  for (const candidate of commands) {
    try {
      const compiler = await probe(candidate, extraFlags, signal);
      const executor = await cache.library([compiler.fingerprint, EXECUTOR_SOURCE], (output) =>
        compileLibrary(compiler, EXECUTOR_SOURCE, output, ['-pthread', '-ldl'], signal),
      );
      return { compiler, executor };
    } catch (error) {
      throwIfAborted(signal);
      if (error instanceof WidefieldError && error.code === 'io') throw error;
      reasons.push(error instanceof WidefieldError ? error.message : `${candidate}: ${firstLine(error)}`);
    }
  }
  throw new WidefieldError(
    'unsupported',
    `No working C compiler (${reasons.join('; ')}); install gcc or clang for native speed.`,
  );
}

async function probe(
  command: string,
  extraFlags: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Compiler> {
  const version = await ask(command, ['--version'], signal);
  for (const machineFlag of ['-march=native', '-mcpu=native']) {
    const macros = await predefinedMacros(command, [machineFlag, ...extraFlags], signal).catch(
      (error: unknown) => {
        if (error instanceof WidefieldError) throw error;
        return undefined; // it does not know the flag
      },
    );
    if (macros === undefined) continue;
    const firstVersionLine = version.split('\n', 1)[0] ?? command;
    const flags = [...BASE_FLAGS, machineFlag, ...extraFlags];
    const fingerprint = createHash('sha256')
      .update([firstVersionLine, ...flags, ...[...macros].sort()].join('\n'))
      .digest('hex')
      .slice(0, 16);
    return { command, version: firstVersionLine, flags, ...vectorUnits(macros), fingerprint };
  }
  throw new Error('it accepts neither -march=native nor -mcpu=native');
}

async function predefinedMacros(
  command: string,
  flags: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const macros = await ask(command, [...flags, '-dM', '-E', '-x', 'c', '-'], signal);
  return new Set(macros.split('\n').map((line) => line.replace(/^#define /, '')));
}

/** What a compiler says, given nothing to read. Throws if it says nothing for {@link ANSWER_SECONDS}. */
async function ask(command: string, args: string[], signal: AbortSignal | undefined): Promise<string> {
  const promise = execute(command, args, { signal, timeout: 1000 * ANSWER_SECONDS, killSignal: 'SIGKILL' });
  promise.child.stdin?.on('error', () => undefined); // its exit status tells
  promise.child.stdin?.end();
  try {
    return (await promise).stdout;
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof Error && 'killed' in error && error.killed === true) {
      throw new WidefieldError('unsupported', `${command} does not answer within ${ANSWER_SECONDS} s`);
    }
    throw error;
  }
}

type VectorUnits = Pick<Compiler, 'lanes' | 'vectorRegisters' | 'fma' | 'bf16'>;

function vectorUnits(macros: ReadonlySet<string>): VectorUnits {
  const has = (name: string): boolean => macros.has(`${name} 1`);
  const fma = has('__FMA__');
  // As the emitter asks (codegen/c-bf16.ts).
  const bf16 = has('__AVX512BF16__') && has('__AVX512VL__') && has('__AVX512BW__');
  if (has('__AVX512F__')) return { lanes: 16, vectorRegisters: 32, fma: true, bf16 };
  if (has('__AVX2__') || has('__AVX__')) return { lanes: 8, vectorRegisters: 16, fma, bf16 };
  if (has('__aarch64__')) return { lanes: 4, vectorRegisters: 32, fma: true, bf16 };
  return { lanes: 4, vectorRegisters: 16, fma, bf16 };
}

/**
 * Compiles C source to a shared library.
 * Throws `compile-failed` with the compiler's first error line, or `aborted`.
 */
export async function compileLibrary(
  compiler: Compiler,
  source: string,
  output: string,
  extraFlags: readonly string[] = [],
  signal?: AbortSignal,
): Promise<void> {
  const promise = execute(
    compiler.command,
    [...compiler.flags, ...extraFlags, '-x', 'c', '-', '-o', output, '-lm'],
    { signal, maxBuffer: 2 ** 24 },
  );
  promise.child.stdin?.on('error', () => undefined); // a compiler that dies early; its exit status tells
  promise.child.stdin?.end(source);
  try {
    await promise;
  } catch (error) {
    if (signal?.aborted) throw new WidefieldError('aborted', 'Compilation was cancelled.', { cause: error });
    throw new WidefieldError('compile-failed', `${compiler.command} failed: ${firstLine(error)}`, {
      cause: error,
    });
  }
}

/** The first line that says something about an error of a child process. */
function firstLine(error: unknown): string {
  const stderr = typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr) : '';
  const text = stderr.trim() || (error instanceof Error ? error.message : String(error));
  const lines = text.split('\n');
  return (lines.find((line) => /error|fatal|failed/i.test(line)) ?? lines[0] ?? 'unknown error').trim();
}
