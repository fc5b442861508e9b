/** PyTorch's memory formats, each an engine of its own. */
export const PYTORCH_FORMATS = ['contiguous', 'channels_last'] as const;

export type PytorchFormat = (typeof PYTORCH_FORMATS)[number];

/** What results call PyTorch in a memory format. */
export function pytorchName(format: PytorchFormat): string {
  return format === 'channels_last' ? 'pytorch-channels-last' : 'pytorch';
}
