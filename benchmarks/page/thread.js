/** How long the page's thread was not free, in milliseconds: the longest task that the browser tells of, and the longest gap of a timer. */
export function watchThread() {
  const PERIOD = 5;
  let longestTask = 0;
  let longestGap = 0;
  let last = performance.now();
  const told = PerformanceObserver.supportedEntryTypes.includes("longtask");
  if (told) {
    new PerformanceObserver((entries) => {
      for (const { duration } of entries.getEntries()) longestTask = Math.max(longestTask, duration);
    }).observe({ type: "longtask", buffered: true });
  }
  setInterval(() => {
    const now = performance.now();
    longestGap = Math.max(longestGap, now - last - PERIOD);
    last = now;
  }, PERIOD);
  return () => ({ longestTask: told ? longestTask : null, longestGap });
}
