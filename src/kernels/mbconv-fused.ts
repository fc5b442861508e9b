import { KernelBuilder } from '../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../codegen/ir.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import { emitGate } from './mbconv/gate.ts';
import { emitHidden } from './mbconv/hidden.ts';
import { packMBConv } from './mbconv/pack.ts';
import { planMBConv } from './mbconv/plan.ts';
import type { MBConvConfig, MBConvPlan } from './mbconv/plan.ts';
import { emitProject } from './mbconv/project.ts';
import { estimateMBConv, mbConvConfigs } from './mbconv/search.ts';
import type { MBConvProblem } from './problem.ts';

/**
 * MBConv blocks. Hidden channels are made chunk by chunk, each over the whole map: expanded band by band into scratch memory and
 * convolved at once, while their sums over pixels add up. So only the spatial convolution's result is ever kept, and
 * only for an image: its gate follows from the sums, and the projection reads it gated.
 *
 * Either a task computes an image from end to end, in its own memory; or chunks of channels are tasks, and then
 * rows of the map are.
 */
export const mbConvFused: KernelFamily<MBConvProblem, MBConvConfig> = {
  name: 'mbconv-fused',
  op: 'mbconv',
  configs: mbConvConfigs,
  estimate: estimateMBConv,
  emit,
};

function emit(problem: MBConvProblem, config: MBConvConfig): Emission {
  const plan = planMBConv(problem, config);
  const isWhole = config.chunkTasks === 0;
  const sums = problem.squeeze ? problem.batch * plan.hiddenFloats : 0;
  return {
    main: isWhole
      ? [emitWhole(problem, config, plan)]
      : [emitFirst(problem, config, plan), emitSecond(problem, config, plan)],
    prepare: packMBConv(problem, config, plan),
    packedFloats: plan.layout.floats,
    tempFloats: isWhole ? 0 : sums + problem.batch * plan.outPixels * plan.mapStride,
  };
}

function builder(problem: MBConvProblem, lanes: number, part: string, tasks: number): KernelBuilder {
  const { batch, height, width, channels, hidden, outputs, kernelHeight, kernelWidth, stride } = problem;
  return new KernelBuilder({
    name: kernelName(
      `mbconv${part}_${batch}x${height}x${width}x${channels}_${hidden}_${outputs}`,
      `k${kernelHeight}x${kernelWidth}s${stride}`,
      `l${lanes}`,
    ),
    description: `${channels} → ${hidden}, ${kernelHeight}×${kernelWidth}/${stride} in ${problem.groups} groups${
      problem.squeeze ? `, gate through ${problem.squeeze.channels}` : ''
    } → ${outputs}`,
    lanes,
    tasks,
  });
}

/** A task computes an image. */
function emitWhole(problem: MBConvProblem, config: MBConvConfig, plan: MBConvPlan): Kernel {
  const b = builder(problem, config.lanes, '', problem.batch);
  const { x, packed, residual, y } = { ...inputs(b, problem), y: b.output('y') };
  const map = b.scratch('map', plan.outPixels * plan.mapStride);
  const zero = b.i32(0);
  const sums = problem.squeeze && { buffer: b.scratch('sums', plan.hiddenFloats), at: zero };
  const stage = { packed, image: b.task, map, mapAt: zero };
  emitHidden(b, problem, config, plan, { ...stage, x, sums }, { first: zero, end: b.i32(plan.chunks) });
  const gate = emitGateOf(b, problem, plan, packed, sums);
  const tiles = { first: zero, end: b.i32(plan.rowTiles) };
  emitProject(b, problem, config, plan, { ...stage, gate, residual, y }, tiles);
  return b.build();
}

/** A task computes some chunks of an image's hidden channels. */
function emitFirst(problem: MBConvProblem, config: MBConvConfig, plan: MBConvPlan): Kernel {
  const b = builder(problem, config.lanes, '_hidden', problem.batch * config.chunkTasks);
  const x = b.input('x');
  const packed = b.input('packed');
  const temp = b.inout('temp');
  const image = b.div(b.task, config.chunkTasks);
  emitHidden(
    b,
    problem,
    config,
    plan,
    { x, packed, image, ...inTemp(b, problem, plan, temp, image) },
    share(b, plan.chunks, config.chunkTasks),
  );
  return b.build();
}

/** A task gates and projects some rows of an image's map. Each computes the image's gate, which is less than waiting for it. */
function emitSecond(problem: MBConvProblem, config: MBConvConfig, plan: MBConvPlan): Kernel {
  const b = builder(problem, config.downLanes, '_project', problem.batch * config.rowTasks);
  const packed = b.input('packed');
  const residual = problem.epilogue.residual ? b.input('residual') : undefined;
  const temp = b.inout('temp');
  const y = b.output('y');
  const image = b.div(b.task, config.rowTasks);
  const { map, mapAt, sums } = inTemp(b, problem, plan, temp, image);
  const gate = emitGateOf(b, problem, plan, packed, sums);
  const stage = { packed, image, map, mapAt, gate, residual, y };
  emitProject(b, problem, config, plan, stage, share(b, plan.rowTiles, config.rowTasks));
  return b.build();
}

function inputs(b: KernelBuilder, { epilogue }: MBConvProblem) {
  const x = b.input('x');
  const packed = b.input('packed');
  return { x, packed, residual: epilogue.residual ? b.input('residual') : undefined };
}

/** `temp` holds sums of all images, then maps. */
function inTemp(
  b: KernelBuilder,
  { batch, squeeze }: MBConvProblem,
  plan: MBConvPlan,
  temp: Buffer,
  image: Value,
) {
  const { hiddenFloats, outPixels, mapStride } = plan;
  const start = squeeze ? batch * hiddenFloats : 0;
  return {
    map: temp,
    mapAt: b.add(b.mul(image, outPixels * mapStride), start),
    sums: squeeze && { buffer: temp, at: b.mul(image, hiddenFloats) },
  };
}

function emitGateOf(
  b: KernelBuilder,
  problem: MBConvProblem,
  plan: MBConvPlan,
  packed: Buffer,
  sums: { readonly buffer: Buffer; readonly at: Value } | undefined,
): Buffer | undefined {
  if (sums === undefined) return undefined;
  const gate = b.scratch('gate', plan.hiddenFloats);
  emitGate(b, problem, plan, { packed, sums, gate });
  return gate;
}

/** The task's share of `count` things that `tasks` tasks of an image share. */
function share(b: KernelBuilder, count: number, tasks: number): { first: Value; end: Value } {
  const size = Math.ceil(count / tasks);
  const first = b.mul(b.rem(b.task, tasks), size);
  return { first, end: b.min(b.add(first, size), count) };
}
