import type { BenchCase } from '../case.ts';
import { quickest } from '../engine.ts';
import type { Engine, Peer, PeerOptions } from '../engine.ts';
import { PythonProcess } from './python-process.ts';
import { pytorchLayer } from './pytorch-layer.ts';
import { pytorchModels } from './pytorch-model.ts';
import { PYTORCH_SERVER } from './pytorch-server.ts';
import { pytorchTraining } from './pytorch-training.ts';

/** Interpreters that are tried when the user names none: the first on the PATH, then the system's own. */
const INTERPRETERS = ['python3', '/usr/bin/python3'];

/**
 * PyTorch on the CPU, in a Python process. For depthwise convolutions it appears twice: `pytorch` with
 * tensors as PyTorch makes them (contiguous), and `pytorch-channels-last` for those who convert their model
 * to that memory format, which can be many times quicker.
 */
export async function openPytorch({ threads, python }: PeerOptions): Promise<Peer> {
  const { server, version } = await start(python === undefined ? INTERPRETERS : [python]);
  return {
    version,
    prepare: async (test, signal) => {
      const forms = await prepare(server, test, threads);
      const makers = forms.map((form) => () => Promise.resolve(engine(server, form, threads)));
      if (test.problem.op === 'depthwise') return Promise.all(makers.map((make) => make()));
      return [await quickest(makers, signal)];
    },
    prepareModel: (test, signal) => pytorchModels(server, test, threads, signal),
    prepareTraining: (test, signal) => pytorchTraining(server, test, threads, signal),
    prepareLayer: (test) => pytorchLayer(server, test, threads),
    dispose: () => {
      server.end();
      return Promise.resolve();
    },
  };
}

async function start(interpreters: readonly string[]): Promise<{ server: PythonProcess; version: string }> {
  const reasons: string[] = [];
  for (const interpreter of interpreters) {
    const server = new PythonProcess(interpreter, PYTORCH_SERVER);
    try {
      const { header } = await server.greeting();
      return { server, version: `${String(header.version)} (Python ${String(header.python)})` };
    } catch (error) {
      server.end();
      reasons.push(`${interpreter}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(reasons.join('; '));
}

/** Sends the data; Python's names for the forms that it can run. */
async function prepare(server: PythonProcess, test: BenchCase, threads: number): Promise<string[]> {
  const { problem, input, weight } = test;
  const sizes =
    problem.op === 'depthwise'
      ? {
          input: [problem.batch, problem.height, problem.width, problem.channels],
          kernel: [problem.kernelHeight, problem.kernelWidth],
          padding: [problem.padding.top, problem.padding.bottom, problem.padding.left, problem.padding.right],
        }
      : { input: [problem.rows, problem.inputs], outputs: problem.outputs };
  const request = { command: 'prepare', op: problem.op, threads, ...sizes };
  const { header } = await server.request(request, input, weight);
  return (header.forms as unknown[]).map(String);
}

function engine(server: PythonProcess, form: string, threads: number): Engine {
  return {
    name: form === 'channels_last' ? 'pytorch-channels-last' : 'pytorch',
    device: 'native',
    threads,
    config: form,
    timingIncludes: 'the operation alone, timed within Python under torch.no_grad(), result allocated anew',
    time: async (iterations) => {
      const { header } = await server.request({ command: 'time', form, iterations });
      return (header.times as unknown[]).map(Number);
    },
    output: async () => {
      const { payload } = await server.request({ command: 'output', form });
      // Copied, because the bytes need not lie at a multiple of four.
      return new Float32Array(Uint8Array.from(payload).buffer);
    },
    dispose: () => Promise.resolve(),
  };
}
