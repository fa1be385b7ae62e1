/** How is what somebody says recorded? By the browser, which asks the person first; one recording at a time. */

/** Browsers offer the microphone to pages of this machine and over TLS only. */
export const canRecord =
  typeof navigator !== 'undefined' &&
  Boolean(navigator.mediaDevices?.getUserMedia) &&
  typeof MediaRecorder !== 'undefined';

/** So often a recording gives what it has, in milliseconds. */
const SLICE_MS = 100;

export class Recorder {
  /** Since the first sound; before that nothing would be kept of what is said. */
  recording = $state(false);
  /** Until then: the browser may ask the person, and a microphone takes a moment. `stop` takes it back. */
  starting = $state(false);
  #recorder: MediaRecorder | null = null;
  #parts: Blob[] = [];
  /** Which wish to record is the present one. */
  #wish = 0;

  /** Begins; throws a sentence when there is no microphone, or it may not be used. */
  async start(): Promise<void> {
    const own = ++this.#wish;
    this.starting = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      if (own === this.#wish) this.#record(stream);
      else release(stream);
    } catch (error) {
      if (own !== this.#wish) return;
      this.starting = false;
      throw new Error(whyNot(error), { cause: error });
    }
  }

  #record(stream: MediaStream): void {
    const recorder = new MediaRecorder(stream);
    const parts: Blob[] = [];
    [this.#recorder, this.#parts] = [recorder, parts];
    recorder.ondataavailable = ({ data }) => {
      if (!data.size) return;
      parts.push(data);
      if (this.#recorder === recorder) [this.starting, this.recording] = [false, true];
    };
    recorder.start(SLICE_MS);
  }

  /** Ends and returns what was said; null when nothing has been recorded. */
  stop(): Promise<Blob | null> {
    const [recorder, parts] = [this.#recorder, this.#parts];
    this.#wish++;
    this.#recorder = null;
    this.starting = this.recording = false;
    if (!recorder) return Promise.resolve(null);
    return new Promise((done) => {
      const end = () => {
        release(recorder.stream);
        done(parts.length ? new Blob(parts, { type: recorder.mimeType }) : null);
      };
      if (recorder.state === 'inactive') return end(); // The microphone is gone.
      recorder.onstop = end;
      recorder.stop();
    });
  }
}

function release(stream: MediaStream): void {
  stream.getTracks().forEach((track) => track.stop());
}

function whyNot(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  if (name === 'NotAllowedError') return 'The browser does not allow this page to use the microphone';
  if (name === 'NotFoundError') return 'There is no microphone';
  return 'The microphone cannot be used';
}
