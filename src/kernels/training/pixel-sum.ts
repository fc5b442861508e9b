import type { KernelBuilder } from '../../codegen/builder.ts';
import { columnSumsFamily } from './column-sums.ts';
import type { ColumnSums } from './column-sums.ts';
import { loadSpan } from '../spans.ts';
import type { PixelSumProblem } from './problems.ts';

/** Sums over pixels, of one tensor or of the product of two. */
export const pixelSum = columnSumsFamily('pixel-sum', sumsOf);

function sumsOf({ batch, pixels, channels, pitch, product }: PixelSumProblem): ColumnSums {
  return {
    ...{ batch, rows: pixels, channels, pitch },
    name: product ? 'pixel_product_sum' : 'pixel_sum',
    description: `sums of ${product ? 'products' : 'values'} over ${pixels} pixels of ${channels} channels`,
    terms: 1,
    operations: 1,
    tensors: product ? 2 : 1,
    prepare(b: KernelBuilder, _chunk, span) {
      const x = b.input('x');
      const x1 = product ? b.input('x1') : undefined;
      return (_column, offset) => (_row, index) => {
        const value = loadSpan(b, span, x, index, offset);
        return [x1 ? b.mul(value, loadSpan(b, span, x1, index, offset)) : value];
      };
    },
  };
}
