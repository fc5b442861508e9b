/** An image file's bytes: JPEG, PNG, WebP, AVIF, GIF or TIFF. */
export interface EncodedImage {
  readonly bytes: Uint8Array;
}

/** Pixels, [height, width, channels], grey or RGB. */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** One labelled image as a dataset stores it. */
export interface Sample {
  /** Where it is, for messages: a path, or an archive and a name within. */
  readonly name: string;
  readonly label: number;
  readonly image: EncodedImage | PixelImage;
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/** Neighbouring samples, [start, start + length), that are cheap to read together. */
export interface SampleGroup {
  readonly start: number;
  readonly length: number;
}

/** A file that belongs to no sample. */
export interface StrayFile {
  readonly name: string;
  readonly reason: string;
}

/** Labelled images, numbered from 0. Labels count `classes`, from 0. */
export interface Dataset {
  readonly name: string;
  readonly classes: readonly string[];
  readonly length: number;
  /** All samples, in order, in groups: a tar shard, a Parquet row group. One group if any sample is as cheap as the next. */
  readonly groups: readonly SampleGroup[];
  /** What was found beside the samples, if anything. */
  readonly strays?: readonly StrayFile[];
  /** The label of a sample, without its image. */
  labelOf(index: number): number;
  /** Throws `invalid-argument` if the sample is damaged, `io` if it cannot be read. */
  read(index: number, options?: ReadOptions): Promise<Sample>;
  close(): Promise<void>;
  /** Lets `await using` close it. Widefield's own have it. */
  [Symbol.asyncDispose]?(): Promise<void>;
}

/** Samples that are ready for a network. */
export interface Batch {
  /** [size, H, W, C], dense, normalised. */
  readonly images: Float32Array;
  readonly labels: Int32Array;
  /** Which samples of the dataset these are. */
  readonly indices: Int32Array;
  readonly size: number;
}

/** Whether the image has been decoded. */
export function isPixels(image: EncodedImage | PixelImage): image is PixelImage {
  return 'data' in image;
}

/** All samples as one group. */
export function oneGroup(length: number): readonly SampleGroup[] {
  return length === 0 ? [] : [{ start: 0, length }];
}

/** How many samples each class has. */
export function countClasses(dataset: Dataset): number[] {
  const counts = new Array<number>(dataset.classes.length).fill(0);
  for (let i = 0; i < dataset.length; i++) {
    const label = dataset.labelOf(i);
    counts[label] = (counts[label] ?? 0) + 1;
  }
  return counts;
}
