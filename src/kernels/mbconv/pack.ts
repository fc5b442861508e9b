import { KernelBuilder } from '../../codegen/builder.ts';
import type { Kernel } from '../../codegen/ir.ts';
import { packEpilogue } from '../epilogue.ts';
import { kernelName } from '../family.ts';
import { packProduct, packVector } from '../gemm/pack.ts';
import type { MBConvProblem } from '../problem.ts';
import type { MBConvConfig, MBConvPlan } from './plan.ts';

/** The kernels that pack the weights of an MBConv block. */
export function packMBConv(
  problem: MBConvProblem,
  { lanes }: MBConvConfig,
  { layout }: MBConvPlan,
): Kernel[] {
  const { channels, hidden, outputs, squeeze } = problem;
  const { up, spatial, gate, down, epilogue } = layout;
  return [
    ...(up ? [packProduct('expand', up.panels, up.offset, hidden, channels)] : []),
    ...(up?.bias === undefined ? [] : [packVector('expand_bias', hidden, up.bias)]),
    packSpatial(problem, spatial.offset, lanes),
    ...(spatial.bias === undefined ? [] : [packVector('spatial_bias', hidden, spatial.bias)]),
    ...(gate && squeeze
      ? [
          packProduct('squeeze', gate.squeeze, gate.squeezeOffset, squeeze.channels, hidden),
          packVector('squeeze_bias', squeeze.channels, gate.squeezeBias),
          packProduct('excite', gate.excite, gate.exciteOffset, hidden, squeeze.channels),
          packVector('excite_bias', hidden, gate.exciteBias),
        ]
      : []),
    packProduct('project', down.panels, down.offset, outputs, hidden),
    ...packEpilogue(problem.epilogue, epilogue, outputs),
  ];
}

/** [hidden, inputs, ky, kx] → [vector][ky][input][kx][lane]. */
function packSpatial(problem: MBConvProblem, offset: number, lanes: number): Kernel {
  const { hidden, groups, kernelHeight, kernelWidth } = problem;
  const inputs = hidden / groups;
  const b = new KernelBuilder({
    name: kernelName('mbconv_pack_spatial', hidden, groups, `k${kernelHeight}x${kernelWidth}`, `l${lanes}`),
    description: `packs weights [${hidden}, ${inputs}, ${kernelHeight}, ${kernelWidth}] of a spatial convolution`,
    lanes,
    tasks: Math.ceil(hidden / lanes),
  });
  const weight = b.input('spatial');
  const packed = b.output('packed');
  const taps = kernelHeight * kernelWidth;
  const first = b.mul(b.task, lanes);
  b.for(0, b.min(b.sub(hidden, first), lanes), 1, (lane) => {
    const output = b.add(first, lane);
    b.for(0, inputs, 1, (i) => {
      const from = b.mul(b.add(b.mul(output, inputs), i), taps);
      const to = b.add(b.add(b.mul(b.task, taps * inputs * lanes), lane), b.mul(i, kernelWidth * lanes));
      for (let ky = 0; ky < kernelHeight; ky++) {
        for (let kx = 0; kx < kernelWidth; kx++) {
          const value = b.loadScalar(weight, from, ky * kernelWidth + kx);
          b.store(packed, to, value, offset + (ky * inputs * kernelWidth + kx) * lanes);
        }
      }
    });
  });
  return b.build();
}
