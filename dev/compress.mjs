/**
 * Compresses files, several at a time: node compress.mjs <jobs>
 *
 * The jobs are a JSON list of `{ file, brotli, gzip }`: what to read, and where to write either.
 */
import { readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

// The best quality, 11, makes the whole start-up a tenth smaller, and takes more than ten times as long: a minute.
const QUALITY = 9;

async function compress(job) {
  const content = await readFile(job.file);
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: QUALITY,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
  };
  await Promise.all([
    promisify(brotliCompress)(content, { params }).then((compressed) => writeFile(job.brotli, compressed)),
    promisify(gzip)(content, { level: 9 }).then((compressed) => writeFile(job.gzip, compressed)),
  ]);
}

await Promise.all(JSON.parse(process.argv[2]).map(compress));
