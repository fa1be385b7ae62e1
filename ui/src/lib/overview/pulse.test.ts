import { describe, expect, it } from 'vitest';
import { flight, row } from '../../testing/values';
import { Pulse } from './pulse';

const streaming = (bytes: number, more = {}) =>
  flight(1, { state: 'streaming', arrived_at: 100, response_bytes: bytes, ...more });

describe('tokens a second', () => {
  it('are none while nothing is written', () => {
    expect(new Pulse().rate(0)).toBe(0);
  });
  it('are not known until an answer has taught how long a token is', () => {
    const pulse = new Pulse();
    pulse.heard(streaming(500), 1000);
    expect(pulse.rate(1000)).toBeNull();
    pulse.heard(streaming(500, { state: 'finished' }), 2000);
    expect(pulse.rate(2000)).toBe(0);
  });
  it('are counted by bytes after that', () => {
    const pulse = new Pulse();
    pulse.heard(streaming(20_000, { state: 'finished' }), 0);
    pulse.learn(row(100.01, { model: 'a', stream: true, completion_tokens: 100 }));
    for (const second of [0, 1, 2, 3, 4]) pulse.heard(streaming(1000 + second * 2000, { id: 2 }), second * 1000);
    expect(pulse.rate(4000)).toBeCloseTo(10, 5);
  });
  it('fall while nothing comes, and end with the answer', () => {
    const pulse = new Pulse();
    pulse.heard(streaming(20_000, { state: 'finished' }), 0);
    pulse.learn(row(100, { model: 'a', stream: true, completion_tokens: 100 }));
    pulse.heard(streaming(0, { id: 2 }), 0);
    pulse.heard(streaming(2000, { id: 2 }), 1000);
    expect(pulse.rate(1000)).toBeCloseTo(10, 5);
    expect(pulse.rate(4000)).toBeCloseTo(2.5, 5);
    pulse.heard(streaming(2000, { id: 2, state: 'finished' }), 4000);
    expect(pulse.rate(4000)).toBe(0);
  });
  it('forget requests whose end was missed', () => {
    const pulse = new Pulse();
    pulse.heard(streaming(500), 1000);
    pulse.keepOnly(new Set());
    expect(pulse.rate(1000)).toBe(0);
  });
});
