"""A model server that sees, hears, speaks and paints, as far as a test can tell: it says what it was sent.

Stand-alone (stdlib only): `python -E -S tests/fakes/senses.py --host H --port N`. Every other flag is ignored.

  POST /v1/chat/completions        streams what the last message has: "image/png 40x30; wav 16000 Hz 1.5 s; text ..."
  POST /v1/audio/transcriptions    {"text": "heard 1.5 s of wav as MODEL"}
  GET  /v1/audio/voices            {"voices": ["first", "second"]}
  POST /v1/audio/speech            a WAV of as many tenths of a second as the input has words, at most 30 s
  POST /v1/images/generations      `n` PNGs of one colour, of the `size`, the colour from the `seed`
A text or prompt with "refuse" is answered with 400 and OpenAI's envelope; one with "hold" is never answered.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import struct
import wave
import zlib
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any


def png(width: int, height: int, colour: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + bytes((colour & 255, colour >> 8 & 255, 160)) * width
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")
    )


def wav(seconds: float) -> bytes:
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\0" * int(8000 * seconds))
    return out.getvalue()


def size_of(picture: bytes) -> str:
    """Return "WIDTHxHEIGHT" of a PNG or a JPEG."""
    if picture.startswith(b"\x89PNG"):
        return "{}x{}".format(*struct.unpack(">II", picture[16:24]))
    at = 2
    while picture[at + 1] not in {0xC0, 0xC1, 0xC2}:
        at += 2 + int.from_bytes(picture[at + 2 : at + 4], "big")
    height, width = struct.unpack(">HH", picture[at + 5 : at + 9])
    return f"{width}x{height}"


def sound(data: bytes) -> str:
    with wave.open(BytesIO(data)) as file:
        return f"{file.getframerate()} Hz {file.getnframes() / file.getframerate():.1f} s"


def described(part: dict[str, Any]) -> str:
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            kind, data = url.removeprefix("data:").split(";base64,")
            return f"{kind} {size_of(base64.b64decode(data))}"
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(kind)}}:
            raw = base64.b64decode(data)
            return f"{kind} {sound(raw)}" if kind == "wav" else f"{kind} {len(raw)} bytes"
    return f"text {part.get('text')}"


class Senses(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.reply({"voices": ["first", "second"]} if self.path.startswith("/v1/audio/voices") else {"status": "ok"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/transcriptions"):
            self.reply(self.transcribed(body))
            return
        asked: dict[str, Any] = json.loads(body)
        said = json.dumps(asked)
        if "refuse" in said:
            self.reply(
                {"error": {"message": "it will not do that", "type": "invalid_request_error", "code": None}}, 400
            )
        elif "hold" in said:
            self.close_connection = True
            self.rfile.read(1)
        elif self.path.endswith("/speech"):
            self.send(wav(min(30.0, len(asked["input"].split()) / 10)), "audio/wav", voice=asked.get("voice", ""))
        elif self.path.endswith("/generations"):
            self.reply({"created": 0, "data": self.painted(asked)})
        else:
            self.chat(asked)

    def chat(self, asked: dict[str, Any]) -> None:
        content = asked["messages"][-1]["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        words = "; ".join(described(part) for part in parts)
        usage = {"prompt_tokens": 1000, "completion_tokens": 24, "total_tokens": 1024}
        events = [{"choices": [{"index": 0, "delta": {"content": words}}]}, {"choices": [], "usage": usage}]
        stream = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
        self.send(f"{stream}data: [DONE]\n\n".encode(), "text/event-stream")

    def transcribed(self, body: bytes) -> dict[str, str]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = BytesParser().parsebytes(head + body)
        fields = {part.get_param("name", header="content-disposition"): part for part in form.walk()}
        model, file = (fields[name].get_payload(decode=True) for name in ("model", "file"))
        seconds = re.sub(r".* Hz", "", sound(file))  # type: ignore[arg-type]
        return {"text": f" heard{seconds} of wav as {model.decode()}"}  # type: ignore[union-attr]

    def painted(self, asked: dict[str, Any]) -> list[dict[str, str]]:
        width, height = map(int, (asked.get("size") or "64x64").split("x"))
        seeds = range(asked.get("seed", 7), asked.get("seed", 7) + asked["n"])
        return [{"b64_json": base64.b64encode(png(width, height, seed)).decode()} for seed in seeds]

    def reply(self, found: object, status: int = 200) -> None:
        self.send(json.dumps(found).encode(), "application/json", status)

    def send(self, body: bytes, kind: str, status: int = 200, voice: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if voice:
            self.send_header("X-Voice", voice)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_known_args()[0]
    server = ThreadingHTTPServer((options.host, options.port), Senses)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
