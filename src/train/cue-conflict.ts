import path from 'node:path';

/**
 * Which of ImageNet-1K's classes, counted from 0, belong to each of the 16 entry-level categories of Geirhos et al.
 * (2018, "Generalisation in humans and deep neural networks"; groups of WordNet), as the authors publish them in
 * https://github.com/bethgelab/model-vs-human (`human_categories.py`). Their names in alphabetical order.
 */
const CLASSES = {
  airplane: '404',
  bear: '294-297',
  bicycle: '444 671',
  bird: '8 10-16 18-20 22-24 80-83 87-96 98-100 127-133 135-145',
  boat: '472 554 625 814 914',
  bottle: '440 720 737 898 899 901 907',
  car: '436 511 817',
  cat: '281-286',
  chair: '423 559 765 857',
  clock: '409 530 892',
  dog: '152-191 193-203 205-226 228-241 243-250 252-257 259 261-263 265-268',
  elephant: '385 386',
  keyboard: '508 878',
  knife: '499',
  oven: '766',
  truck: '555 569 656 675 717 734 864 867',
} as const;

export type Category = keyof typeof CLASSES;

export const CATEGORIES: readonly Category[] = Object.keys(CLASSES).filter(isCategory);

export function isCategory(name: string): name is Category {
  return Object.hasOwn(CLASSES, name);
}

/** The indices of a category's classes among ImageNet's 1000. */
export function classesOf(category: Category): readonly number[] {
  return CLASSES[category].split(' ').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** What an image shows by its shape, and by its texture. */
export interface Cues {
  readonly shape: Category;
  readonly texture: Category;
}

/** The cues that a file's name tells, such as `cat1-elephant2.png`; undefined for other names. */
export function cuesOf(file: string): Cues | undefined {
  const [, shape = '', texture = ''] = /^([a-z]+)\d*-([a-z]+)\d*\.[^.]+$/i.exec(path.basename(file)) ?? [];
  return isCategory(shape) && isCategory(texture) ? { shape, texture } : undefined;
}
