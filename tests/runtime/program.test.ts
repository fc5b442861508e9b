import { expect, test } from 'vitest';

import { candidates } from '../../src/kernels/index.ts';
import { signature } from '../../src/kernels/signature.ts';
import { ProgramBuilder } from '../../src/runtime/program.ts';
import { interpreterCaps } from '../support/kernel-harness.ts';
import { product } from '../support/small-problems.ts';

const caps = interpreterCaps([4]);

function addOps(indices: readonly number[]) {
  const builder = new ProgramBuilder();
  const all = candidates(product, caps);
  const spec = signature(product);
  const groups = indices.map((index, i) => {
    const candidate = all[index];
    if (candidate === undefined) throw new Error(`no candidate ${index}`);
    const slots = new Map(['x', 'y'].map((name) => [name, builder.allocate('arena', 12 * 32)]));
    return builder.add(`op ${i}`, spec, candidate, slots);
  });
  return { program: builder.build(), groups };
}

test('equal ops share kernels, and have weights of their own', () => {
  const once = addOps([0]).program;
  const { program, groups } = addOps([0, 0, 0]);
  expect(program.kernels.length).toBe(once.kernels.length);
  expect(program.steps.map((step) => step.label)).toEqual(['op 0', 'op 1', 'op 2']);
  expect(program.sizes.weights).toBe(3 * once.sizes.weights);
  expect(groups.map((group) => group?.index)).toEqual([0, 1, 2]);
  const packed = program.steps.map((step) => step.slots.find((slot) => slot.region === 'weights')?.offset);
  expect(packed).toEqual([0, once.sizes.weights, 2 * once.sizes.weights]);
});

test('ops with other configurations have kernels of their own', () => {
  expect(addOps([0, 1]).program.kernels.length).toBe(2 * addOps([0]).program.kernels.length);
});

test('staging is as large as the largest op needs, not their sum', () => {
  expect(addOps([0, 0, 0]).program.sizes.staging).toBe(addOps([0]).program.sizes.staging);
  expect(addOps([0]).program.sizes.staging).toBe(16 * 32 + 32);
});

test('every slot lies inside its region, at a multiple of 16', () => {
  const { program } = addOps([0, 1, 0]);
  for (const { slots } of [...program.steps, ...program.prepare.flat()]) {
    for (const { region, offset } of slots) {
      expect(offset % 16).toBe(0);
      expect(offset).toBeLessThan(program.sizes[region]);
    }
  }
});

test('an op whose tensor is missing is named', () => {
  const [candidate] = candidates(product, caps);
  if (candidate === undefined) throw new Error('no candidate');
  const builder = new ProgramBuilder();
  const slots = new Map([['x', builder.allocate('arena', 12 * 16)]]);
  expect(() => builder.add('head', signature(product), candidate, slots)).toThrow(
    /^head: nothing is bound to pointwise_\w+'s y\.$/,
  );
});
