/** ts-mls in Node: one JSON object a line in, one out. */
import { createInterface } from "node:readline";
import process from "node:process";

import { TsMlsSide } from "./ts_mls_side.mjs";

const side = new TsMlsSide(() => performance.now() / 1000);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await side.call(JSON.parse(line)))}\n`);
}
