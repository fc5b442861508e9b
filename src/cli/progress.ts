import { Presets, SingleBar } from 'cli-progress';

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
      bar.stop();
    },
  };
}
