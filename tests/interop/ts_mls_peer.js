/** The members of `ts_mls_members.js` in a Node process: reads a request from each line, and writes its answer on one. */

import { createInterface } from "node:readline";
import process from "node:process";

import { answer } from "./ts_mls_members.js";

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${await answer(line)}\n`);
}
