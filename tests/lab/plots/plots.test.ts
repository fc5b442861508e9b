import { parseHTML } from 'linkedom';
import { describe, expect, it, test } from 'vitest';

import { amdahl, amdahlByKind } from '../../../src/lab/amdahl.ts';
import { kernelCosts } from '../../../src/lab/costs.ts';
import { findDevice } from '../../../src/lab/devices.ts';
import { efficiencyGap, publishedGapInputs } from '../../../src/lab/efficiency.ts';
import { largeKernelStudy } from '../../../src/lab/large-kernels.ts';
import { mediantCurve } from '../../../src/lab/mediant.ts';
import { plotAmdahl } from '../../../src/lab/plots/amdahl.ts';
import { plotBlocks } from '../../../src/lab/plots/blocks.ts';
import { plotDifferences } from '../../../src/lab/plots/differences.ts';
import { plotGap } from '../../../src/lab/plots/gap.ts';
import { plotMediant } from '../../../src/lab/plots/mediant.ts';
import { plotProjections } from '../../../src/lab/plots/projection.ts';
import { plotLargeKernels } from '../../../src/lab/plots/roofline.ts';
import { logTicks, spread } from '../../../src/lab/plots/style.ts';
import { plotWaterlines } from '../../../src/lab/plots/waterline.ts';
import { waterline } from '../../../src/lab/waterline.ts';
import { buildModel } from '../../../src/models/zoo.ts';

const a5000 = findDevice('a5000');
const text = { title: 'A <title> & more', subtitle: ['below'], source: 'a source' };

function parse(svg: string): Document {
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  return parseHTML(svg).document;
}

function textsOf(document: Document): string[] {
  return Array.from(document.querySelectorAll('text')).map((element) => element.textContent);
}

describe('waterline', () => {
  const line = waterline(kernelCosts(buildModel('efficientnet-b0', { batch: 128 })), a5000);
  const bars = (svg: string): Element[] => Array.from(parse(svg).querySelectorAll('rect > title'));

  it.each(['log', 'linear'] as const)('has a rectangle for each kernel with operations, %s', (scale) => {
    const svg = plotWaterlines([{ title: 'B0', line }], { ...text, scale });
    const withOps = line.kernels.filter(({ ops }) => ops > 0);
    expect(bars(svg)).toHaveLength(withOps.length);
  });

  it('has widths in proportion to times', () => {
    const svg = plotWaterlines([{ title: 'B0', line }], { ...text, scale: 'linear' });
    const widths = bars(svg).map((title) => Number(title.parentElement?.getAttribute('width')));
    const total = widths.reduce((a, b) => a + b, 0);
    const times = line.kernels.filter(({ ops }) => ops > 0).map(({ timeUs }) => timeUs);
    const totalUs = times.reduce((a, b) => a + b, 0);
    expect(Math.max(...widths) / total).toBeCloseTo(Math.max(...times) / totalUs, 6);
  });

  it('names kinds with their share of the time, and the line', () => {
    const texts = textsOf(parse(plotWaterlines([{ title: 'B0', line }], text)));
    for (const kind of new Set(line.kernels.map((kernel) => kernel.kind))) expect(texts).toContain(kind);
    expect(texts.filter((each) => each.endsWith('of the time'))).toHaveLength(
      new Set(line.kernels.map(({ kind }) => kind)).size,
    );
    expect(texts.join('\n')).toContain('op:byte 160');
    expect(texts).toContain('A <title> & more');
  });

  it('draws kernels without operations in their lanes', () => {
    const pool = { name: 'pool', kind: 'pool', ops: 0, bytes: 1e6 } as const;
    const svg = plotWaterlines([{ title: 'pool', line: waterline([pool], a5000) }], text);
    expect(textsOf(parse(svg))).toContain('pool');
  });
});

test('mediant: two curves for each network, one dashed', () => {
  const points = mediantCurve(kernelCosts(buildModel('mobilenet-v2', { batch: 8 })));
  const document = parse(plotMediant([{ title: 'MobileNetV2', points }], { ...text, opByte: 160 }));
  expect(textsOf(document)).toEqual(
    expect.arrayContaining(['MobileNetV2', 'MobileNetV2, mediant', 'this device: 160']),
  );
  expect(
    document.querySelectorAll('[stroke-dasharray="6 4"] path, path[stroke-dasharray="6 4"]'),
  ).toHaveLength(1);
});

test('Amdahl: a bar for each step', () => {
  const line = waterline(kernelCosts(buildModel('resnet-50', { batch: 128 })), a5000);
  const [kinds, steps] = [amdahlByKind(line), amdahl(line).slice(0, 5)];
  const texts = textsOf(parse(plotAmdahl(kinds, steps, text)));
  for (const { name } of [...kinds, ...steps]) expect(texts).toContain(name);
  expect(texts.filter((each) => each.startsWith('×'))).toHaveLength(kinds.length + steps.length);
});

test('blocks: the axis begins below the quickest', () => {
  const svg = plotBlocks(
    [
      {
        block: '4 channels',
        times: [
          { what: 'layer-wise', us: 4 },
          { what: 'fused', us: 2 },
        ],
      },
    ],
    { title: 'Blocks' },
  );
  const { document } = parseHTML(svg);
  const widths = Array.from(document.querySelectorAll('[aria-label="rect"] rect'), (bar) =>
    Number(bar.getAttribute('width')),
  );
  expect(widths).toHaveLength(2);
  const [slow = 0, quick = 0] = widths;
  expect(quick).toBeGreaterThan(0);
  // From 1 µs on, 4 µs are twice as far as 2 µs.
  expect(slow).toBeCloseTo(2 * quick, 3);
});

test('nothing is no figure', () => {
  expect(() => plotAmdahl([], [], { title: 'Amdahl' })).toThrow('There is nothing to draw in "Amdahl".');
  expect(() => plotProjections([], { title: 'Speed' })).toThrow('There is nothing to draw in "Speed".');
});

test('roofline: a point for each algorithm and kernel size, with symbols', () => {
  const study = largeKernelStudy(findDevice('rtx-2080-ti'));
  const document = parse(plotLargeKernels(study, text));
  const named = Array.from(document.querySelectorAll('path > title')).map((element) => element.textContent);
  expect(named).toContain('depthwise 31×31, direct, forward');
  expect(named).toContain('dense, 32×32 blocks');
  expect(new Set(named).size).toBe(1 + 3 + 2 * 15);
});

test('efficiency gap: ideal and actual point and efficiency of each network, twice', () => {
  const points = efficiencyGap(publishedGapInputs(), a5000);
  const document = parse(plotGap(points, text));
  expect(document.querySelectorAll('circle')).toHaveLength(2 * 2 * points.length);
  const texts = textsOf(document);
  for (const { title } of points)
    expect(texts.filter((each) => each.startsWith(`${title} `))).toHaveLength(2);
});

test('differences: left and right of zero', () => {
  const row = { agrees: true, text: '' };
  const svg = plotDifferences(
    [
      { ...row, name: 'less', difference: -0.02 },
      { ...row, name: 'more', difference: 0.02, agrees: false },
    ],
    text,
  );
  expect(textsOf(parse(svg))).toEqual(expect.arrayContaining(['less', 'more', '-2%', '+2%']));
});

test.each([
  ['a waterline', () => plotWaterlines([{ title: '', line: waterline([], a5000) }], text)],
  ['a gap', () => plotGap([], text)],
  ['differences', () => plotDifferences([], text)],
  ['a mediant', () => plotMediant([], text)],
])('nothing to draw: %s', (_, plot) => {
  expect(plot).toThrow(/at least one|no /);
});

test('labels are spread apart, in order, near their values', () => {
  expect(spread([5, 1, 5.1, 9], 1, [0, 10])).toEqual([4.55, 1, 5.55, 9]);
  expect(spread([0, 0, 0], 1, [0, 10])).toEqual([0, 1, 2]);
  expect(spread([10, 10], 1, [0, 10])).toEqual([9, 10]);
});

test('ticks of logarithmic axes', () => {
  expect(logTicks(0.9, 120)).toEqual([1, 2, 5, 10, 20, 50, 100]);
  expect(logTicks(1, 1e6)).toEqual([1, 10, 100, 1e3, 1e4, 1e5, 1e6]);
});
