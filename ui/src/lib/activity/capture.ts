/** What was said in a captured request, and how is it asked again? Pure. */
import type { Capture } from '../api/types';
import { SseParser } from '../api/sse';

export interface Said {
  who: string;
  text: string;
}

export function textOf(base64: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
}

/** JSON with line breaks; what is none as it is. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** The conversation with its answer; empty for what is no chat, and where the request was cut. */
export function chat(request: string, answer: string): Said[] {
  const messages = (read(request) as { messages?: unknown })?.messages;
  if (!Array.isArray(messages)) return [];
  const said = messages.map((message) => ({ who: String(message?.role ?? ''), text: words(message?.content) }));
  const text = answered(answer);
  return text ? [...said, { who: 'assistant', text }] : said;
}

function words(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return content == null ? '' : JSON.stringify(content);
  return content.map((part) => part?.text ?? `[${part?.type ?? 'something'}]`).join('\n');
}

function answered(answer: string): string {
  const whole = textIn(read(answer));
  if (whole) return whole;
  const events = new SseParser().push(`${answer}\n\n`);
  return events.map(({ data }) => textIn(read(data))).join('');
}

/** As OpenAI and Anthropic write it, in one piece or in many. */
function textIn(value: any): string {
  const choice = value?.choices?.[0];
  if (choice) return words(choice.message?.content ?? choice.delta?.content ?? choice.text);
  if (Array.isArray(value?.content)) return words(value.content);
  return typeof value?.delta?.text === 'string' ? value.delta.text : '';
}

function read(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A command for a shell. Secrets were never kept: in their place is a variable that the person sets. */
export function curl({ method, req_path, req_headers, req_body }: Capture, origin: string): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const headers = Object.entries(req_headers)
    .filter(([name]) => !/^(host|content-length|connection|accept-encoding|user-agent)$/i.test(name))
    .map(([name, value]) => `  -H ${value === '[REDACTED]' ? secret(name) : quoted(`${name}: ${value}`)}`);
  const body = textOf(req_body);
  const parts = [`curl -X ${method} ${quoted(origin + req_path)}`, ...headers];
  return [...parts, ...(body ? [`  --data-raw ${quoted(body)}`] : [])].join(' \\\n');
}

function secret(name: string): string {
  return `"${name}: ${/^authorization$/i.test(name) ? 'Bearer ' : ''}$CLARACORE_API_KEY"`;
}
