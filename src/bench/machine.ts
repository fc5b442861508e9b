import { createRequire } from 'node:module';
import { cpus, release, totalmem, type as systemName } from 'node:os';

/** The machine that results were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly os: string;
  readonly node: string;
  readonly widefield: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    os: `${systemName()} ${release()} ${process.arch}`,
    node: process.versions.node,
    widefield: packageVersion(),
  };
}

/** This package's own version, found by its name, so that sources and build agree. */
export function packageVersion(): string {
  const manifest: unknown = createRequire(import.meta.url)('widefield/package.json');
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}
