import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';

import { analyseErf } from '../../../src/lab/erf.ts';
import { CONFUSION_CLASSES, plotConfusion } from '../../../src/lab/plots/confusion.ts';
import { plotErfs } from '../../../src/lab/plots/erf.ts';
import { plotShapeBias } from '../../../src/lab/plots/shape-bias.ts';

const text = { title: 'A <title>', subtitle: ['below'] };

function parse(svg: string): Document {
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  return parseHTML(svg).document;
}

function textsOf(document: Document): string[] {
  return Array.from(document.querySelectorAll('text')).map((element) => element.textContent);
}

describe('confusion matrix', () => {
  const cells = [
    { label: 0, predicted: 0, images: 7 },
    { label: 0, predicted: 1, images: 3 },
    { label: 1, predicted: 1, images: 4 },
    { label: 1, predicted: 2, images: 1 },
  ];

  it('has a square for each cell, with its share, and what falls to classes without images', () => {
    const document = parse(plotConfusion(cells, ['cat', 'dog', 'owl'], text));
    const titles = Array.from(document.querySelectorAll('rect > title')).map((each) => each.textContent);
    expect(titles).toEqual([
      'cat taken for cat: 7, 70.0%',
      'cat taken for dog: 3, 30.0%',
      'dog taken for dog: 4, 80.0%',
      'dog taken for others: 1, 20.0%',
    ]);
    expect(textsOf(document)).toEqual(expect.arrayContaining(['cat', 'dog', 'others', '7', '3', '4', '1']));
  });

  it('of many classes shows those with most errors', () => {
    const many = Array.from({ length: 200 }, (_, label) => [
      { label, predicted: label, images: 100 },
      { label, predicted: (label + 1) % 200, images: label + 1 },
    ]).flat();
    const names = Array.from({ length: 200 }, (_, i) => `name ${i}`);
    const texts = textsOf(parse(plotConfusion(many, names, text)));
    expect(texts).toContain(`Of 200 classes, the ${CONFUSION_CLASSES} with most errors.`);
    expect(texts).toContain('name 199');
    expect(texts).toContain(`name ${200 - CONFUSION_CLASSES}`);
    expect(texts).not.toContain(`name ${199 - CONFUSION_CLASSES}`);
  });

  it('tells classes of one name apart', () => {
    const texts = textsOf(parse(plotConfusion(cells, ['crane', 'crane', 'owl'], text)));
    expect(texts).toEqual(expect.arrayContaining(['crane (0)', 'crane (1)']));
  });
});

describe('receptive fields', () => {
  const size = 81;
  const erf = (sigma: number) =>
    analyseErf({
      height: size,
      width: size,
      scores: Float64Array.from({ length: size * size }, (_, i) =>
        Math.exp(-((Math.floor(i / size) - 40) ** 2 + ((i % size) - 40) ** 2) / (2 * sigma ** 2)),
      ),
    });

  it('stand side by side, with a square a threshold and a curve each', async () => {
    const svg = await plotErfs(
      [
        { title: 'small', erf: erf(6) },
        { title: 'large', erf: erf(15) },
      ],
      text,
    );
    const document = parse(svg);
    const images = Array.from(document.querySelectorAll('image'));
    expect(images).toHaveLength(2);
    for (const image of images) expect(image.getAttribute('href')).toMatch(/^data:image\/png;base64,/);
    const squares = Array.from(document.querySelectorAll('rect > title')).map((title) => {
      return Number(title.parentElement?.getAttribute('width'));
    });
    expect(squares).toHaveLength(8);
    // Squares grow with the threshold, and with the field.
    for (const [i, width] of squares.entries())
      if (i % 4 > 0) expect(width).toBeGreaterThan(squares[i - 1] ?? 0);
    for (let i = 0; i < 4; i++) expect(squares[4 + i]).toBeGreaterThan(squares[i] ?? 0);
    expect(textsOf(document).filter((each) => ['small', 'large'].includes(each))).toHaveLength(4);
  });

  it('refuses to draw nothing', async () => {
    await expect(plotErfs([], text)).rejects.toThrow('no receptive field');
  });
});

describe('shape bias', () => {
  it('has a dot for each category with decisions, from texture at the left to shape at the right', () => {
    const counts = [
      { category: 'bear', shape: 0, texture: 5, shapeBias: 0 },
      { category: 'car', shape: 0, texture: 0, shapeBias: undefined },
      { category: 'cat', shape: 3, texture: 1, shapeBias: 0.75 },
    ];
    const document = parse(plotShapeBias(counts, { shapeBias: 1 / 3 }, text));
    const dots = Array.from(document.querySelectorAll('circle')).map((dot) => Number(dot.getAttribute('cx')));
    expect(dots).toHaveLength(2);
    expect(dots[1]).toBeGreaterThan(dots[0] ?? 0);
    expect(textsOf(document)).toEqual(
      expect.arrayContaining(['bear', 'car', 'cat', '0 of 5', 'by neither', '3 of 4']),
    );
  });
});
