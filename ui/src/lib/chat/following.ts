/** Does the end of the conversation stay in sight? Until the person scrolls up, and again from when they are back at it. */

/** So near to the end it counts as the end, in pixels. */
const NEAR = 40;

export interface Scrolled {
  scrollTop: number;
  scrollHeight: number;
  clientHeight: number;
}

export function atEnd({ scrollTop, scrollHeight, clientHeight }: Scrolled): boolean {
  return scrollHeight - scrollTop - clientHeight < NEAR;
}

/**
 * Whether to follow after a scroll event. What grows below leaves the end behind by itself: only who moved up, or who
 * did not follow before, reads elsewhere.
 */
export function follows(followed: boolean, topBefore: number, now: Scrolled): boolean {
  return atEnd(now) || (followed && now.scrollTop >= topBefore);
}
