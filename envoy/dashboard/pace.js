// Work in slices, so that the page answers clicks and keys at any time: no slice blocks it for long.

const SLICE = 10;

// Makes a function to be awaited between pieces of work. It lets the browser go on when a slice has been used up.
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
