/** ts-mls in a worker; bundled before it is served. The first message is answered when it is ready. */
import { TsMlsSide } from "../speed/ts_mls_side.mjs";

let side;

self.onmessage = async ({ data }) => {
  try {
    if (side === undefined) {
      side = new TsMlsSide(() => performance.now() / 1000);
      self.postMessage({ result: "ready" });
    } else {
      self.postMessage({ result: JSON.stringify(await side.call(JSON.parse(data))) });
    }
  } catch (error) {
    self.postMessage({ error: String(error?.stack ?? error) });
  }
};
