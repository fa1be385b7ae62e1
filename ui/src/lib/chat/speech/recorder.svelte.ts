/** How is what somebody says recorded? By the browser, which asks the person first; one recording at a time. */

/** Browsers offer the microphone to pages of this machine and over TLS only. */
export const canRecord =
  typeof navigator !== 'undefined' &&
  Boolean(navigator.mediaDevices?.getUserMedia) &&
  typeof MediaRecorder !== 'undefined';

export class Recorder {
  recording = $state(false);
  #recorder: MediaRecorder | null = null;

  /** Begins; throws a sentence when there is no microphone, or it may not be used. */
  async start(): Promise<void> {
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      throw new Error(whyNot(error), { cause: error });
    }
    this.#recorder = new MediaRecorder(stream);
    this.#recorder.start();
    this.recording = true;
  }

  /** Ends and returns what was said; null when nothing is being recorded. */
  stop(): Promise<Blob | null> {
    const recorder = this.#recorder;
    this.#recorder = null;
    this.recording = false;
    if (!recorder) return Promise.resolve(null);
    return new Promise((done) => {
      const parts: Blob[] = [];
      recorder.ondataavailable = ({ data }) => parts.push(data);
      recorder.onstop = () => {
        recorder.stream.getTracks().forEach((track) => track.stop());
        done(new Blob(parts, { type: recorder.mimeType }));
      };
      recorder.stop();
    });
  }
}

function whyNot(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  if (name === 'NotAllowedError') return 'The browser does not allow this page to use the microphone';
  if (name === 'NotFoundError') return 'There is no microphone';
  return 'The microphone cannot be used';
}
