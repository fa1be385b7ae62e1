import { afterEach, expect, test, vi } from 'vitest';
import { OtherTabs } from './other_tabs.svelte';

/** Tabs of one browser; what one says is heard by the others at once. */
function browser() {
  const channels = new Set<EventTarget>();
  return (name: string) => {
    const channel = new EventTarget() as unknown as BroadcastChannel;
    channel.postMessage = (data) =>
      channels.forEach((each) => each !== channel && each.dispatchEvent(new MessageEvent('message', { data })));
    channels.add(channel);
    return { tab: new OtherTabs(channel, name), kill: () => channels.delete(channel) };
  };
}

afterEach(() => void vi.useRealTimers());

test('what one tab writes is known in one that is open, and in one that is opened later', () => {
  const open = browser();
  const [first, second] = [open('1').tab, open('2').tab];
  first.tell(['a', 'b']);
  const third = open('3').tab;
  for (const tab of [second, third]) expect(['a', 'b', 'c'].map((id) => tab.write(id))).toEqual([true, true, false]);
  expect(first.write('a')).toBe(false);
  first.tell([]);
  for (const tab of [second, third]) expect(tab.write('a')).toBe(false);
});

test('a tab that writes for long is believed, and one that is gone is not', () => {
  vi.useFakeTimers();
  const open = browser();
  const [first, second] = [open('1'), open('2')];
  first.tab.tell(['a']);
  vi.advanceTimersByTime(60_000);
  expect(second.tab.write('a')).toBe(true);
  first.kill();
  vi.advanceTimersByTime(6000);
  expect(second.tab.write('a')).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});
