import { Presets, SingleBar } from 'cli-progress';

import { describeDownload } from '../runtime/download.ts';
import type { DownloadProgress } from '../runtime/download.ts';

/** Shows what a long command is doing. */
export interface Progress {
  /** `done` is from 0 to 1; without it the bar stays where it is. */
  update(activity: string, done?: number): void;
  /** Makes room for a line of text; the next update draws the bar again, below it. */
  clear(): void;
  stop(): void;
}

/** A bar on standard error if that is a terminal, else nothing. */
export function openProgress(): Progress {
  if (!process.stderr.isTTY) {
    return { update: () => undefined, clear: () => undefined, stop: () => undefined };
  }
  const bar = new SingleBar(
    {
      format: '{bar} {percentage}% {activity}',
      clearOnComplete: true,
      hideCursor: true,
      forceRedraw: true,
      stream: process.stderr,
    },
    Presets.shades_classic,
  );
  bar.start(100, 0, { activity: '' });
  const onExit = (): void => {
    bar.stop(); // brings the cursor back
  };
  process.once('exit', onExit);
  let percent = 0;
  return {
    update: (activity, done) => {
      if (done !== undefined) percent = Math.round(100 * done);
      bar.update(percent, { activity });
    },
    clear: () => {
      process.stderr.write('\r\x1b[K');
    },
    stop: () => {
      process.off('exit', onExit);
      bar.stop();
    },
  };
}

/** Shows how far a download of weights is. */
export function showDownload(progress: Progress, step: DownloadProgress): void {
  progress.update(describeDownload(step), step.done / step.total);
}

/** Opens weights, with a bar once there is something to download. */
export async function withDownloadBar<T>(
  open: (onProgress: (step: DownloadProgress) => void) => Promise<T>,
): Promise<T> {
  let progress: Progress | undefined;
  try {
    return await open((step) => {
      progress ??= openProgress();
      showDownload(progress, step);
    });
  } finally {
    progress?.stop();
  }
}
