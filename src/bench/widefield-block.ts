import { candidates } from '../kernels/index.ts';
import { nodesOf } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';
import { optimize } from '../graph/passes/index.ts';
import { optimizeFor, planGraph } from '../runtime/plan.ts';
import { describeConfig } from '../runtime/op.ts';
import { createSession } from '../runtime/session.ts';
import type { Session } from '../runtime/session.ts';
import type { BlockCase } from './block-case.ts';
import { timer } from './engine.ts';
import type { ModelEngine } from './engine.ts';
import { nhwcToNchw } from './layout.ts';
import { measurePeak } from './peak.ts';
import { kernelTimes } from './profile.ts';
import { tuneProblem } from './tuning.ts';
import type { TuningOptions } from './tuning.ts';
import type { OpenedDevice } from './widefield-model.ts';
import { untunedProblems } from './widefield-model.ts';

/** How Widefield runs a block: a kernel for each layer, or as few kernels as there are for it. */
export const BLOCK_FORMS = ['fused', 'layer-wise'] as const;

/** How the configuration of a fused row begins if there was nothing to fuse, or no gain to be expected. */
export const NOT_FUSED = 'not fused';

export type BlockForm = (typeof BLOCK_FORMS)[number];

/** A block on one of our devices, fused and layer by layer: two engines. */
export async function prepareBlock(
  opened: OpenedDevice,
  test: BlockCase,
  options: TuningOptions,
): Promise<ModelEngine[]> {
  const engines: ModelEngine[] = [];
  // Measured again for each block: whoever else used the machine when the device was opened may have hidden it.
  const peakGflops = Math.max(opened.peakGflops, await measurePeak(opened.device));
  try {
    for (const form of BLOCK_FORMS) {
      engines.push(await prepareForm({ ...opened, peakGflops }, test, form, options));
    }
    return engines;
  } catch (error) {
    await Promise.all(engines.map((engine) => engine.dispose()));
    throw error;
  }
}

async function prepareForm(
  { device, name, peakGflops, tuning }: OpenedDevice,
  test: BlockCase,
  form: BlockForm,
  options: TuningOptions,
): Promise<ModelEngine> {
  const { signal, tune } = options;
  const { caps } = device;
  const formOf = (one: BlockForm): Graph => {
    const { worthFusing, ...rest } = optimizeFor(caps, { tuning });
    if (one === 'layer-wise') return optimize(test.graph, rest);
    const always = test.fuse === 'always' && {
      worthFusing: (fused: Parameters<typeof worthFusing>[0]) => candidates(fused, caps).length > 0,
    };
    return optimize(test.graph, { ...rest, worthFusing, ...always });
  };
  if (tune) {
    for (const problem of untunedProblems(planGraph(formOf(form), caps, { tuning }), caps, tuning)) {
      await tuneProblem(device, problem, tuning, options, `: ${problem.op}`);
    }
  }
  const begin = performance.now();
  const session = await createSession(device, formOf(form), test.weights, {
    tuning,
    ...(signal && { signal }),
  });
  const setupMs = performance.now() - begin;
  try {
    await session.run(test.input, signal ? { signal } : {});
  } catch (error) {
    await session.dispose();
    throw error;
  }
  return {
    name: `widefield-${name}-${form}`,
    device: name,
    threads: caps.threads,
    config: configOf(session, form, formOf('layer-wise'), test),
    timingIncludes: 'one session.rerun on data that lies in the device’s memory',
    setupMs,
    bytes: session.bytes,
    peakGflops,
    time: timer(() => session.rerun()),
    output: () => outputOf(session, test),
    profile: async () => kernelTimes(session.plan, await session.profile(test.input)),
    measurePeak: () => measurePeak(device),
    dispose: () => session.dispose(),
  };
}

/** The output as the other runtimes give it, [N, C, H, W], computed again on the same input. */
async function outputOf(session: Session, { graph, input }: BlockCase): Promise<Float32Array> {
  const [name = ''] = graph.outputs.keys();
  const [batch, height, width, channels] = session.outputShapes.get(name) ?? [0, 0, 0, 0];
  const output = (await session.run(input)).get(name) ?? new Float32Array();
  return nhwcToNchw(output, batch, height * width, channels);
}

/** Which kernels take several layers, with their configurations. */
function configOf({ plan }: Session, form: BlockForm, layerWise: Graph, { fuse }: BlockCase): string {
  const kernels = `${plan.nodes.length} ${plan.nodes.length === 1 ? 'kernel' : 'kernels'}`;
  if (form === 'layer-wise') return kernels;
  const layers = new Set(nodesOf(layerWise).map(({ op }) => op.type));
  const fused = plan.nodes.filter(({ node }) => !layers.has(node.op.type));
  if (fused.length === 0) {
    return `${NOT_FUSED}: ${fuse === 'always' ? 'there is no kernel for it' : 'the planner expects no gain, or has no kernel'}`;
  }
  const names = fused.map(({ candidate }) => `${candidate.family} ${describeConfig(candidate)}`);
  return `${kernels}; ${names.join('; ')}`;
}
