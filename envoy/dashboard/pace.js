// Runs work in short slices, so that the page always responds to clicks and keys.

const SLICE = 10;

// Returns a function to await between pieces of work. It yields to the browser when the current slice is used up.
export function createPace() {
  const channel = new MessageChannel();
  let start = performance.now();
  return async function rest() {
    if (performance.now() - start < SLICE) return;
    await new Promise((resolve) => {
      channel.port1.onmessage = resolve;
      channel.port2.postMessage(null);
    });
    start = performance.now();
  };
}
