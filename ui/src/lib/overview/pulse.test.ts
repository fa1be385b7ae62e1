import { describe, expect, it } from 'vitest';
import { flight } from '../../testing/values';
import { Pulse } from './pulse';

const streaming = (tokens: number, more = {}) => flight(1, { state: 'streaming', tokens, ...more });

describe('tokens a second', () => {
  it('are none while nothing is written', () => {
    expect(new Pulse().rate(0)).toBe(0);
  });
  it('are those of the last moments, of all answers', () => {
    const pulse = new Pulse();
    for (const second of [0, 1, 2, 3, 4]) {
      pulse.heard(streaming(second < 2 ? second * 100 : 200 + second * 10), second * 1000);
      pulse.heard(streaming(second * 5, { id: 2 }), second * 1000);
    }
    expect(pulse.rate(4000)).toBeGreaterThan(15);
    for (const second of [5, 6]) {
      pulse.heard(streaming(200 + second * 10), second * 1000);
      pulse.heard(streaming(second * 5, { id: 2 }), second * 1000);
    }
    expect(pulse.rate(6000)).toBeCloseTo(15, 5);
  });
  it('fall while nothing comes, and end with the answer', () => {
    const pulse = new Pulse();
    pulse.heard(streaming(0), 0);
    pulse.heard(streaming(10), 1000);
    expect(pulse.rate(1000)).toBeCloseTo(10, 5);
    expect(pulse.rate(4000)).toBeCloseTo(2.5, 5);
    pulse.heard(streaming(10, { state: 'finished' }), 4000);
    expect(pulse.rate(4000)).toBe(0);
  });
  it('forget requests whose end was missed', () => {
    const pulse = new Pulse();
    pulse.heard(streaming(0), 0);
    pulse.heard(streaming(50), 1000);
    pulse.keepOnly(new Set());
    expect(pulse.rate(1000)).toBe(0);
  });
});
