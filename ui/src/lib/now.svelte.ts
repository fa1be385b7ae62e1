/** What time is it, for countdowns? One timer for all who show one. */
import { createSubscriber } from 'svelte/reactivity';

const subscribe = createSubscriber((update) => {
  const timer = setInterval(update, 1000);
  return () => clearInterval(timer);
});

/** The time in milliseconds; whoever reads it in a component is redrawn each second. */
export function now(): number {
  subscribe();
  return Date.now();
}
