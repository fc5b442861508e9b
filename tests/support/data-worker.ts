import { buildScript } from './build-script.ts';

/** Builds the file of the threads that prepare images. */
export function buildDataWorker(folder: string): Promise<URL> {
  return buildScript(folder, 'data-worker', 'src/data/worker.ts');
}
