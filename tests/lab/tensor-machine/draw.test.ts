import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';

import { drawMachine } from '../../../src/lab/tensor-machine/draw.ts';
import { layOut } from '../../../src/lab/tensor-machine/layout.ts';
import type { TensorBox, WeightBox } from '../../../src/lab/tensor-machine/layout.ts';
import { operationsOf } from '../../../src/lab/tensor-machine/machine.ts';
import type { Machine } from '../../../src/lab/tensor-machine/machine.ts';
import { MACHINE_NAMES, describeMachine } from '../../../src/lab/tensor-machine/machines.ts';

const stride2Names = MACHINE_NAMES.filter((name) => name !== 'ffn' && name !== 'convfirst-split');
const drawn: readonly (readonly [string, Machine])[] = [
  ...MACHINE_NAMES.map((name) => [name, describeMachine(name, { channels: 64 })] as const),
  ...stride2Names.map(
    (name) => [`${name}, stride 2`, describeMachine(name, { channels: 64, stride: 2 })] as const,
  ),
];

describe('drawMachine', () => {
  it.each(drawn)('%s: draws every tensor in its memory, and every operation that counts', (_, machine) => {
    const { items } = layOut(machine, 0);
    const boxes = items.flatMap((item): readonly (TensorBox | WeightBox)[] =>
      item.kind === 'tensor' ? [item] : item.weights,
    );
    for (const { label, memory, role } of Object.values(machine.tensors)) {
      if (role === 'weights') continue; // shown by the mark on their copies
      const own = boxes.filter((box) => box.label.split(' ')[0] === label);
      expect(own.length, label).toBeGreaterThan(0);
      expect(new Set(own.map((box) => box.memory)), label).toEqual(new Set([memory]));
    }
    const counted = machine.kernels
      .flatMap((kernel) => operationsOf(kernel))
      .filter(({ operation: { operator } }) => operator === 'product' || operator === 'grouped-conv');
    const dark = items.flatMap((item) =>
      item.kind === 'chain' ? item.parts.filter(({ counts }) => counts) : [],
    );
    expect(dark).toHaveLength(counted.length);
  });

  it.each(drawn)('%s: nothing lies on anything else, and frames hold what is theirs', (_, machine) => {
    const { items, frames, edges } = layOut(machine, 0);
    const places = items.map(({ column, y }) => `${column} ${y}`);
    expect(new Set(places).size).toBe(items.length);
    for (const a of frames) {
      for (const b of frames) {
        const apart = a.bottom <= b.top || b.bottom <= a.top;
        const nested = (a.top - b.top) * (a.bottom - b.bottom) <= 0;
        expect(apart || nested).toBe(true);
      }
    }
    const onChip = items.filter((item) => item.kind === 'chain' || item.memory !== 'dram');
    for (const { y } of onChip) expect(frames.some(({ top, bottom }) => top < y && y < bottom)).toBe(true);
    for (const { from, to } of edges) expect(to.y >= from.y).toBe(true);
  });

  it.each(drawn)('%s: is a document with a title, and always the same', (_, machine) => {
    const svg = drawMachine(machine);
    expect(drawMachine(machine)).toBe(svg);
    const { document } = parseHTML(svg);
    expect(document.querySelector('svg > title')?.textContent).toBe(machine.title);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    const width = Number(document.querySelector('svg')?.getAttribute('width'));
    for (const rect of Array.from(document.querySelectorAll('rect'))) {
      const [x, own] = [Number(rect.getAttribute('x')), Number(rect.getAttribute('width'))];
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + own).toBeLessThanOrEqual(width);
    }
  });

  it('has the loops, halos and tiles of the description in it', () => {
    const svg = drawMachine(
      describeMachine('convfirst-fused', { channels: 64, tiles: { rows: 4, hidden: 32 } }),
    );
    for (const words of ['each processor: N by 1, H by 4', 'in turn: R by 32', 'n×(h+2)×W×C', 'y +=']) {
      expect(svg).toContain(words);
    }
    expect(drawMachine(describeMachine('convfirst-fused', { channels: 64, stride: 2 }))).toContain(
      'n×(2p+3)×W×C',
    );
  });
});
