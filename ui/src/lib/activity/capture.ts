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

/** What curl says itself, and what a browser or a proxy on the way says of itself: nothing that was asked for. */
const OF_THE_WAY =
  /^(host|content-length|connection|keep-alive|te|transfer-encoding|upgrade-insecure-requests|accept-(encoding|language|charset)|user-agent|sec-.*|cookie|origin|referer|dnt|priority|pragma|cache-control|save-data|x-requested-with|x-forwarded-.*|x-real-ip|forwarded|via)$/i;
const SECRET = /authorization|cookie|key|token|secret|password|credential/i;
/** In their place is a variable that the person sets. */
const KEY = '$CLARACORE_API_KEY';

/** A command for a shell that asks the same, without secrets and without what the client was. */
export function curl({ method, req_path, req_headers, req_body }: Capture, origin: string): string {
  const headers = Object.entries(req_headers)
    .filter(([name, value]) => !OF_THE_WAY.test(name) && !(name.toLowerCase() === 'accept' && value === '*/*'))
    .map(
      ([name, value]) =>
        `  -H ${SECRET.test(name) || value === '[REDACTED]' ? secret(name) : quoted(`${name}: ${value}`)}`,
    );
  const body = textOf(req_body);
  const parts = [`curl -X ${method} ${address(origin + req_path)}`, ...headers];
  return [...parts, ...(body ? [`  --data-raw ${quoted(body)}`] : [])].join(' \\\n');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function secret(name: string): string {
  return `"${name}: ${/^(proxy-)?authorization$/i.test(name) ? 'Bearer ' : ''}${KEY}"`;
}

/** An address may have a key in its query. */
function address(url: string): string {
  const [path, ...query] = url.split('?');
  if (!query.length) return quoted(url);
  const masked = query
    .join('?')
    .replace(/(^|&)([^=&]*)=[^&]*/g, (pair, and: string, name: string) =>
      SECRET.test(name) ? `${and}${name}='"${KEY}"'` : pair.replaceAll("'", "'\\''"),
    );
  return `${quoted(`${path}?`).slice(0, -1)}${masked}'`;
}
