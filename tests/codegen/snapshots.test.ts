import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { emitC } from '../../src/codegen/c.ts';
import { alignedLength, scratchFloats } from '../../src/codegen/ir.ts';
import type { Kernel } from '../../src/codegen/ir.ts';
import { guardBytes, tableBytes } from '../../src/codegen/wasm/addressing.ts';
import { emitWasm } from '../../src/codegen/wasm/emit.ts';
import { depthwiseDirect } from '../../src/kernels/depthwise-direct.ts';
import { depthwiseFft } from '../../src/kernels/depthwise-fft.ts';
import { layerNorm } from '../../src/kernels/layer-norm.ts';
import { pointwise } from '../../src/kernels/pointwise.ts';
import { NO_EPILOGUE, samePadding } from '../../src/kernels/problem.ts';
import type { DepthwiseProblem } from '../../src/kernels/problem.ts';
import { interpreterCaps } from '../support/kernel-harness.ts';

const caps = interpreterCaps([4]);
const depthwise: DepthwiseProblem = {
  op: 'depthwise',
  batch: 1,
  height: 4,
  width: 5,
  channels: 4,
  pitch: 4,
  kernelHeight: 3,
  kernelWidth: 3,
  stride: 1,
  dilation: 1,
  padding: samePadding(3, 3),
  epilogue: NO_EPILOGUE,
};

const kernels: Readonly<Record<string, () => readonly Kernel[]>> = {
  'depthwise-fft': () =>
    depthwiseFft.emit(depthwise, {
      lanes: 4,
      heightP: 3,
      heightQ: 2,
      heightTile: 0,
      widthP: 3,
      widthQ: 2,
      widthTile: 0,
      ahead: 0,
      spectraAhead: 0,
    }).main,
  'depthwise-direct': () =>
    depthwiseDirect.emit(depthwise, { lanes: 4, tile: 2, order: 'tap', allChannels: false, rows: 2 }).main,
  pointwise: () =>
    pointwise.emit(
      {
        op: 'pointwise',
        rows: 5,
        inputs: 3,
        outputs: 8,
        inputPitch: 4,
        outputPitch: 8,
        epilogue: { ...NO_EPILOGUE, bias: true, activation: 'relu' },
      },
      { lanes: 4, tileRows: 2, tileVectors: 2, rowTiles: 3, panels: 1, depthBlock: 0, unroll: 1 },
    ).main,
  'layer-norm': () => {
    const problem = {
      op: 'layer-norm',
      rows: 3,
      channels: 6,
      pitch: 8,
      epsilon: 1e-6,
      affine: true,
    } as const;
    const [config] = layerNorm.configs(problem, caps);
    if (config === undefined) throw new Error('no layer norm');
    return layerNorm.emit(problem, config).main;
  },
};

// A change of these files is a change of the code that users run: look at the difference, then run vitest with -u.
describe.each(Object.keys(kernels))('code of a small %s', (name) => {
  const main = kernels[name]?.() ?? [];

  test('as C', async () => {
    await expect(main.map(emitC).join('\n')).toMatchFileSnapshot(`snapshots/${name}.c`);
  });

  test('as WebAssembly', async () => {
    const digests = main.map((kernel) => {
      const bytes = wasm(kernel);
      return `${kernel.name}: ${bytes.length} bytes, SHA-256 ${createHash('sha256').update(bytes).digest('hex')}\n`;
    });
    await expect(digests.join('')).toMatchFileSnapshot(`snapshots/${name}.wasm.txt`);
  });
});

function wasm(kernel: Kernel): Uint8Array<ArrayBuffer> {
  const tables = Math.ceil(guardBytes(kernel) / 64) * 64;
  const scratch = Math.ceil((tables + tableBytes(kernel)) / 64) * 64;
  const first = scratch + 4 * alignedLength(scratchFloats(kernel));
  return emitWasm(
    {
      kernels: [kernel],
      steps: [{ kernel: 0, addresses: kernel.buffers.map((_, i) => first + 4096 * i) }],
      memory: { pages: 2, maxPages: 2, shared: false },
      threads: 1,
      tables: [tables],
      scratch: { address: scratch, stride: 0 },
      control: 0,
    },
    { relaxed: false },
  );
}
