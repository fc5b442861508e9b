/**
 * Makes the decoder of images suit programs that read very many different ones, several at a time: libvips otherwise
 * keeps results of operations and spreads each image over threads. Measured: 10 to 20% of the processors' time on two cores,
 * up to 4% on one. For the whole process, so for commands to decide and not for the library.
 */
export async function decodeManyImages(): Promise<void> {
  // Without sharp, whoever needs it says so; datasets of pixels do not.
  const sharp = await import('sharp').then(
    (module) => module.default,
    () => undefined,
  );
  sharp?.cache(false);
  sharp?.concurrency(1);
}
