import { expect, test } from 'vitest';

import { CATEGORIES, classesOf, cuesOf } from '../../src/train/cue-conflict.ts';
import type { Category } from '../../src/train/cue-conflict.ts';
import { categoryOf, decide, shapeBias } from '../../src/train/shape-bias.ts';
import type { CategoryModel, Decision, Stimulus } from '../../src/train/shape-bias.ts';
import { imagenetNames } from '../../src/runtime/imagenet-names.ts';

/** Logits that are 0 but for some classes. */
function logitsOf(entries: Record<number, number>): Float32Array {
  const logits = new Float32Array(1000);
  for (const [index, value] of Object.entries(entries)) logits[Number(index)] = value;
  return logits;
}

/** A network that takes each file for the category that `answers` tells, in batches of 2. */
function stubModel(answers: Readonly<Record<string, Category>>): CategoryModel {
  const files = Object.keys(answers);
  return {
    classes: 1000,
    inputShape: [2, 1, 1, 3],
    prepareImage: (file) => {
      const place = typeof file === 'string' ? files.indexOf(file) : -1;
      if (place < 0)
        return Promise.reject(new Error(`${typeof file === 'string' ? file : 'it'} is damaged.`));
      return Promise.resolve(new Float32Array(3).fill(place));
    },
    run: (input) => {
      const logits = new Float32Array((input.length / 3) * 1000);
      for (let i = 0; i < input.length / 3; i++) {
        const [index = 0] = classesOf(answers[files[input[3 * i] ?? 0] ?? ''] ?? 'cat');
        // So high that the mean over many classes is still the highest.
        logits[i * 1000 + index] = 20;
      }
      return Promise.resolve(logits);
    },
  };
}

const stimulus = (shape: Category, texture: Category): Stimulus => ({
  file: `${shape}1-${texture}1.png`,
  shape,
  texture,
});

test('sixteen categories of ImageNet classes that have nothing in common', () => {
  expect(CATEGORIES).toHaveLength(16);
  expect([...CATEGORIES].sort()).toEqual(CATEGORIES);
  const all = CATEGORIES.flatMap(classesOf);
  expect(new Set(all).size).toBe(all.length);
  expect(all).toHaveLength(207);
  const names = imagenetNames();
  expect(classesOf('bear').map((index) => names[index])).toEqual([
    'brown bear',
    'American black bear',
    'ice bear',
    'sloth bear',
  ]);
  expect(classesOf('knife').map((index) => names[index])).toEqual(['cleaver']);
  expect(classesOf('clock').map((index) => names[index])).toEqual([
    'analog clock',
    'digital clock',
    'wall clock',
  ]);
});

test('names of files tell both cues', () => {
  expect(cuesOf('stimuli/cat/cat1-elephant2.png')).toEqual({ shape: 'cat', texture: 'elephant' });
  expect(cuesOf('airplane10-airplane3.JPEG')).toEqual({ shape: 'airplane', texture: 'airplane' });
  for (const name of ['cat1.png', 'cat1-unicorn1.png', 'cat-elephant-dog.png', 'toString1-cat1.png']) {
    expect(cuesOf(name)).toBeUndefined();
  }
});

test('a decision is the highest mean probability, not the highest probability', () => {
  // cleaver, the only knife, against one of 109 dogs that is a little likelier: the mean of dogs is far lower.
  expect(categoryOf(logitsOf({ 499: 5, 152: 5.5 }))).toBe('knife');
  expect(categoryOf(logitsOf({ 499: 5, 152: 12 }))).toBe('dog');
  // Classes of no category count for nothing, however likely.
  expect(categoryOf(logitsOf({ 0: 50, 404: 1 }))).toBe('airplane');
  expect(categoryOf(logitsOf({}))).toBe('airplane');
  expect(() => categoryOf(new Float32Array(10))).toThrow('the network has 10');
  expect(() => categoryOf(logitsOf({ 3: NaN }))).toThrow('NaN');
});

test('shape over shape and texture; images whose cues agree do not count', () => {
  const decided = (shape: Category, texture: Category, decision: Category): Decision => ({
    ...stimulus(shape, texture),
    decision,
  });
  const bias = shapeBias([
    decided('cat', 'elephant', 'cat'),
    decided('cat', 'clock', 'clock'),
    decided('cat', 'clock', 'clock'),
    decided('cat', 'dog', 'bird'),
    decided('car', 'dog', 'boat'),
    decided('oven', 'oven', 'oven'),
  ]);
  expect(bias).toMatchObject({ images: 5, shape: 1, texture: 2, shapeBias: 1 / 3, accuracy: 0.6 });
  expect([...bias.categories]).toEqual([
    ['car', { images: 1, shape: 0, texture: 0, shapeBias: undefined }],
    ['cat', { images: 4, shape: 1, texture: 2, shapeBias: 1 / 3 }],
  ]);
});

test('a network is asked in batches; damaged images are told', async () => {
  const stimuli = [
    stimulus('cat', 'dog'),
    stimulus('bear', 'car'),
    stimulus('boat', 'oven'),
    stimulus('truck', 'bird'),
  ];
  const answers = { 'cat1-dog1.png': 'cat', 'bear1-car1.png': 'car', 'truck1-bird1.png': 'truck' } as const;
  const damaged: string[] = [];
  const progress: number[] = [];
  const decisions = await decide(stubModel(answers), stimuli, {
    onDamaged: ({ message }) => damaged.push(message),
    onProgress: (done) => progress.push(done),
  });
  expect(decisions.map(({ file, decision }) => [file, decision])).toEqual(Object.entries(answers));
  expect(damaged).toEqual(['boat1-oven1.png is damaged.']);
  expect(progress.at(-1)).toBe(4);
  expect(shapeBias(decisions)).toMatchObject({ shape: 2, texture: 1 });
  await expect(decide(stubModel(answers), stimuli)).rejects.toThrow('boat1-oven1.png is damaged.');
  await expect(decide({ ...stubModel(answers), classes: 10 }, stimuli)).rejects.toThrow('has 10');
});
