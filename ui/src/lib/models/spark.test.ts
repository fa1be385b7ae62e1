import { describe, expect, it } from 'vitest';
import { spark, sparkWords } from './spark';

describe('a sparkline', () => {
  it('reaches from the left to the right, and from 0 to the largest value', () => {
    expect(spark([0, 10, 5], 20, 12)).toEqual({
      line: '0,11 10,1 20,6',
      area: '0,12 0,11 10,1 20,6 20,12',
      end: [20, 6],
    });
  });
  it('begins at the right while there are few values', () => {
    expect(spark([4, 4], 30, 12, 4)!.line).toBe('20,1 30,1');
  });
  it('is nothing without values', () => {
    expect(spark([], 20, 12)).toBeNull();
    expect(sparkWords([])).toBe('');
  });
  it('is told in words', () => {
    expect(sparkWords([12.34])).toBe('12.3 tokens/s');
    expect(sparkWords([40, 54.25, 52])).toBe('The last 3 answers: 40 to 54.3 tokens/s');
  });
});
