/**
 * Two workers, one with our engine inside Pyodide and one with ts-mls, which do what they are asked, one at a time.
 *
 * `sides.start(name, job)` starts one, `sides.call(name, request)` has it answer; requests and answers are JSON.
 */
const workers = new Map();

function answer(worker) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => ("error" in data ? reject(new Error(data.error)) : resolve(data.result));
    worker.onerror = (event) => reject(new Error(`the worker failed: ${event.message}`));
  });
}

window.sides = {
  start(name, { script, ...job }) {
    const worker = new Worker(script, { type: "module" });
    workers.set(name, worker);
    const ready = answer(worker);
    worker.postMessage(job);
    return ready;
  },
  call(name, request) {
    const worker = workers.get(name);
    const answered = answer(worker);
    worker.postMessage(request);
    return answered;
  },
};
